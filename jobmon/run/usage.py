"""The one error of bad input. Apart from everything heavy, so that the command line can name it."""


class UsageError(Exception):
    """What a person asked for cannot be done; the message says what, where and the way out."""
