"""``python -m jobmon``."""

from jobmon.cli import main

main()
