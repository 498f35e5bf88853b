"""What can go wrong for a reader. No text repeats a value that was sent, or that is kept."""

from http import HTTPStatus

from fhirbridge.errors import BridgeError


class FacadeError(BridgeError):
    """A reader's request cannot be met. `issue` is the code of its OperationOutcome."""

    code = "E972"
    http_status = HTTPStatus.BAD_REQUEST
    issue = "invalid"


class NotThereError(FacadeError):
    """There is nothing of that type and id for this reader."""

    code = "E973"
    http_status = HTTPStatus.NOT_FOUND
    issue = "not-found"


class NotServedError(FacadeError):
    """Nothing of that type is ever shown."""

    code = "E974"
    http_status = HTTPStatus.NOT_FOUND
    issue = "not-supported"


class TooWideError(FacadeError):
    """The search would open more than it may."""

    code = "E975"
    issue = "too-costly"


class NotSupportedError(FacadeError):
    """A parameter, a modifier or a form of it is not known here."""

    code = "E976"
    issue = "not-supported"


class PageGoneError(FacadeError):
    """A link to a page of a search that was begun long ago."""

    code = "E979"
    http_status = HTTPStatus.GONE
    issue = "expired"


class NotAcceptableError(FacadeError):
    """The reader takes no JSON."""

    code = "E977"
    http_status = HTTPStatus.NOT_ACCEPTABLE
    issue = "not-supported"


class FacadeClosedError(FacadeError):
    """An operator paused this facade: nothing is read from it until it is resumed."""

    code = "E978"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE
    issue = "transient"
