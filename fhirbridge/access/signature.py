"""Is a message signed, and is it fresh: Standard Webhooks, over the bytes as they came. Pure."""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from standardwebhooks import Webhook

from fhirbridge.errors import BridgeError

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE = timedelta(minutes=5)
MOST_SIGNATURES = 10
# What is signed is id.time.body: with a dot in the id it could be read in two ways. No comma: a
# header that came twice is joined by one.
_ID = re.compile(r"[!-+\-/-~]{1,255}")
# As it is written by everyone: a sign, a blank or a leading zero would be the same number.
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,9}")
_SIGNATURES = re.compile(r"[!-~]{1,200}(?: [!-~]{1,200})*")


class NotSignedError(BridgeError):
    """The message is not signed by anybody we know, or not as it came."""

    code = "E931"
    http_status = HTTPStatus.UNAUTHORIZED


class NotFreshError(BridgeError):
    """The message is well signed, for another time than now."""

    code = "E932"
    http_status = HTTPStatus.UNAUTHORIZED


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a message says of itself: its id, when it was sent (seconds), its signatures."""

    id: str
    timestamp: int
    signatures: tuple[str, ...]

    @property
    def sent_at(self) -> datetime:
        """When it was signed, by the sender's clock."""
        return datetime.fromtimestamp(self.timestamp, UTC)


def head(headers: Mapping[str, str]) -> Head:
    """Read the three headers, whose names are in lower case. Raises NotSignedError."""
    named, at, listed = (headers.get(one, "") for one in (ID, TIMESTAMP, SIGNATURE))
    signatures = tuple(listed.split(" ", MOST_SIGNATURES))
    is_whole = _ID.fullmatch(named) and _TIMESTAMP.fullmatch(at) and _SIGNATURES.fullmatch(listed)
    if not is_whole or len(signatures) > MOST_SIGNATURES:
        raise not_signed()
    return Head(id=named, timestamp=int(at), signatures=signatures)


def is_signed(found: Head, body: bytes, secrets: Iterable[bytes]) -> list[bool]:
    """Say for each secret whether it signed the message; each is tried, whichever it was.

    The text of a signature is compared: base64 writes the same bytes in more than one way.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise not_signed() from None
    signed = []
    for secret in secrets:
        right = Webhook(secret).sign(found.id, found.sent_at, text).encode()
        met = [hmac.compare_digest(right, one.encode("ascii")) for one in found.signatures]
        signed.append(any(met))
    return signed


def late_by(found: Head, now: datetime) -> timedelta:
    """Say by how much our clock is ahead of the message's time."""
    return now - found.sent_at


def not_signed() -> NotSignedError:
    """Return the one refusal for all that is wrong: it says nothing of what was right."""
    return NotSignedError(
        "this needs a signature of a sender that is known here",
        hint="sign the bytes that you send by Standard Webhooks (webhook-id, webhook-timestamp, "
        "webhook-signature) with the secret of fhirbridge webhook-source",
    )


def not_fresh() -> NotFreshError:
    """Return the refusal of what was signed more than five minutes from now."""
    return NotFreshError(
        "the message was signed for another time than now",
        hint="sign each try anew, with its own time; set the clocks of both machines by NTP",
    )
