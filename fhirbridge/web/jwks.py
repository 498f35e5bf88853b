"""The public keys by which EHRs verify our assertions: for anyone, and to be kept for a while."""

from http import HTTPStatus

from flask import Response

from fhirbridge.signin.keys import MAX_AGE
from fhirbridge.web import schemas
from fhirbridge.web.exchange import answer, bridge
from fhirbridge.web.routes import PUBLIC, Operation

CACHE = f"public, max-age={int(MAX_AGE.total_seconds())}"


def jwks() -> Response:
    """Return the JWK Set of every key that signs, will sign, or signed until just now."""
    return answer(bridge().jwks(), Cache_Control=CACHE)


OPERATIONS = (
    Operation(
        room="keys",
        method="GET",
        rule="/.well-known/jwks.json",
        view=jwks,
        access=PUBLIC,
        answers={HTTPStatus.OK: schemas.KeySet},
        refusals={
            HTTPStatus.INTERNAL_SERVER_ERROR: "a fault inside",
            HTTPStatus.SERVICE_UNAVAILABLE: "the database does not answer",
        },
    ),
)
