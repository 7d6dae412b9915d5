"""A simulated world: the program above ``Link`` against a cluster, a disk and a clock of ours."""
