"""Links to further pages, sealed: nobody reads from one what was looked for, or makes one up."""

import base64
import binascii
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from fhirbridge.facade.errors import FacadeError, PageGoneError
from fhirbridge.fhir import codec
from fhirbridge.store import moment
from fhirbridge.store.sealed import TamperedError, Vault

PARAMETER = "_page"
LONGEST = 100_000
LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Where a further page begins, and of what: all as it stood when `upto` was the last number."""

    way: str  # search | history | everything
    kind: str
    own: str  # an id, or ""
    pairs: tuple[tuple[str, str], ...]
    upto: int
    after: int
    at: str  # when the first page was asked for, as it is stored


def sealed(vault: Vault, key: bytes, destination: str, mark: Mark) -> str:
    """Return the text that stands in a link."""
    plain = codec.encode(asdict(mark))
    return (
        base64.urlsafe_b64encode(vault.seal(key, plain, _place(destination))).decode().rstrip("=")
    )


def opened(vault: Vault, key: bytes, destination: str, text: str, *, now: datetime) -> Mark:
    """Read it again. Raises FacadeError where it is none of this facade's, or too old.

    What it leads to is as it was then: who comes back days later would take that for the present.
    """
    if len(text) > LONGEST:
        raise _bad()
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
        said: dict[str, Any] = codec.decode_own(vault.unseal(key, raw, _place(destination)))
    except (binascii.Error, UnicodeEncodeError, TamperedError):
        raise _bad() from None
    mark = Mark(**{**said, "pairs": tuple((name, value) for name, value in said["pairs"])})
    if now - moment.from_text(mark.at) > LIFETIME:
        raise PageGoneError("this page is too old to be shown", hint="search anew")
    return mark


def _place(destination: str) -> str:
    return f"facade-page:{destination}"


def _bad() -> FacadeError:
    return FacadeError(
        "this is no link to a page of this facade",
        hint="follow the next link of the last answer, or search anew",
    )
