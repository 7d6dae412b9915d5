"""A batch system for one user on one machine, in plain files and the standard library only.

It imports nothing else of jobmon, and is quick to start: submit is run once a job.

    __main__    the command line       directives  what a script asks for (pure)
    spool       the state folder       process     who lives: pid, birth, boot
    runner      starts jobs, FIFO      shepherd    runs one script, records its end
    delete      ends jobs              place       where the state is, how to call it

The contract. (1) ``submit`` puts a job into the spool under queue.lock, whole or not at all, with
an ID that is never used again. (2) Whoever would start a job, or say that it never will be, first
creates its ``claim`` exclusively and flushes it to disk; so a job starts at most once, whatever
crashes when. (3) A claim names a process by boot, pid and birth. Without an end on record a job
runs as long as that process or the script's own lives, and is ``lost`` after that. (4) The runner
decides to leave holding queue.lock and gives back runner.lock first; submit and list look for a
runner under queue.lock. So no job waits without a runner that will see it, but after a crash or
a reboot, and then the next list or submit starts one.
"""
