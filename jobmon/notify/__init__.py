"""Telling a person who is not there: what is due (``gather``), and getting it out (``send``).

Nothing here may hold up or end a run: what is sent goes through a process of its own with a time
limit, and what cannot be sent is said in jobmon.log.
"""
