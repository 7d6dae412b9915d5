"""jobmon: thousands of batch jobs on a cluster that allows SSH and nothing else."""

__version__ = "0.1.0"
