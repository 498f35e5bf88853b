"""Source keys to ids that nobody can derive without the site's key.

Equal keys give equal ids, everywhere and for ever.
"""

import base64
import hmac
from decimal import Decimal

from fhirbridge.translate.values import Site

KeyPart = str | int | Decimal | bool


def resource_id(site: Site, resource_type: str, keyspace: str, *parts: KeyPart) -> str:
    """Return the FHIR id of one resource: 53 characters of a-z and 2-7, a letter first."""
    return _keyed(site, "resource", resource_type, keyspace, *parts)


def opaque(site: Site, kind: str, *parts: KeyPart) -> str:
    """Return a name for a lane, a session or an identifier, of the same shape as an id."""
    return _keyed(site, "opaque", kind, *parts)


def _keyed(site: Site, *parts: KeyPart) -> str:
    message = b"".join(map(_framed, (site.tenant, *parts)))
    digest = hmac.digest(site.key, message, "sha256")
    # A letter first: some servers take an id that starts with a digit for one of their own numbers.
    return "k" + base64.b32encode(digest).decode("ascii").rstrip("=").lower()


def _framed(part: KeyPart) -> bytes:
    """Write a part with its length before it, so that ['a','bc'] and ['ab','c'] differ."""
    raw = _canonical(part).encode("utf-8")
    return len(raw).to_bytes(8, "big") + raw


def _canonical(part: KeyPart) -> str:
    """Write a part so that 1, 1.0 and 1.00 are one key."""
    if isinstance(part, Decimal):
        text = format(part, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(part)
