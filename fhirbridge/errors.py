"""What can be expected to go wrong: a stable code, a sentence, a way out."""

from http import HTTPStatus


class BridgeError(Exception):
    """An expected failure. Its text names the thing, the place and the way out.

    It never holds a patient's value.

    Subclasses live in the room that raises them and set the class attributes; a door turns them
    into an exit status, a problem+json or an OperationOutcome.
    """

    code = "E000"
    exit_status = 1
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep `message` (what happened, and where) and `hint` (what to do next)."""
        super().__init__(message)
        self.message = message
        self.hint = hint
