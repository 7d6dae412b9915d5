"""The real world, for `scripts/chaos`: real sshd, real batch systems, real faults in a storm.

`plan` says from a seed what is to happen, `storm` lets it happen to rounds of jobs (`rounds`)
through `proxy` and `faults`, and `records` asks the batch system afterwards what came of it.
"""
