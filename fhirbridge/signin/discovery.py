"""Where the EHR says that tokens are given (`.well-known/smart-configuration`). Pure."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.ehr.rest import is_loopback
from fhirbridge.signin import grant
from fhirbridge.signin.grant import Failed, Refused

PATH = "/.well-known/smart-configuration"


def question(base_url: str) -> Request:
    """Build the request; it carries nothing that proves who we are."""
    return Request(method="GET", url=base_url + PATH, headers={"Accept": "application/json"})


def token_url(outcome: Response | NotSent | Unknown, base_url: str) -> str | Failed | Refused:
    """Return the token endpoint, which must be on the EHR's own host.

    Whoever can change that document could else have our assertions sent to a host of his. An
    endpoint elsewhere is an administrator's to name.
    """
    if not isinstance(outcome, Response):
        return Failed(reason=f"the EHR did not say where tokens are given: {outcome.reason}")
    said = grant.body(outcome)
    if outcome.status != HTTPStatus.OK or said is None:
        kind = "" if said is not None or outcome.status != HTTPStatus.OK else ", not as JSON"
        return Failed(
            reason=f"the EHR answered {outcome.status}{kind} where it should say where tokens "
            "are given; --token-url names the address"
        )
    return _checked(said.get("token_endpoint"), base_url)


def _checked(found: Any, base_url: str) -> str | Failed | Refused:
    if not isinstance(found, str):
        return Failed(reason="the EHR names no token endpoint; --token-url names the address")
    try:
        parts, own = urlsplit(found), urlsplit(base_url)
        same = (parts.hostname, parts.port or _usual(parts.scheme)) == (
            own.hostname,
            own.port or _usual(own.scheme),
        )
    except ValueError:
        return Failed(reason="the EHR names a token endpoint that is no address")
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(found))
    clean = not (parts.fragment or "@" in parts.netloc) and found.isascii() and found.isprintable()
    if not (safe and clean) or " " in found or "\\" in found:
        return Failed(reason="the EHR names a token endpoint that is no https address")
    if not same:
        return Refused(
            reason="the EHR names a token endpoint on another host; our assertion is not sent "
            "there unless --token-url names it"
        )
    return found


def _usual(scheme: str) -> int:
    return 443 if scheme == "https" else 80
