"""What can be wrong with a destination."""

from http import HTTPStatus

from fhirbridge.errors import BridgeError


class DestinationError(BridgeError):
    """A destination cannot be added or used as asked."""

    code = "E401"
    http_status = HTTPStatus.CONFLICT
