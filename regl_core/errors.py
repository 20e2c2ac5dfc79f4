"""Errors that a user of the repository can act on."""


class ReglError(Exception):
    """What went wrong, where, what was expected and what to do, in one clear message.

    Raised before any computation starts wherever the cause can be known beforehand. The
    command line prints the message alone, without a traceback; an error of any other type is a
    defect of this repository.
    """


class Halt(ReglError):
    """An error that whatever is tried next would meet too: a full disk, say, or edited code."""


class Incomplete(ReglError):
    """Some of what was asked for could not be computed; all the rest is in the store."""
