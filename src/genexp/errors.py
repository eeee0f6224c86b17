"""The one exception that a person is meant to read."""


class UserError(Exception):
    """Something that the user can mend: one sentence that says what to change.

    The command line prints the sentence without a traceback and exits with code 2.
    """
