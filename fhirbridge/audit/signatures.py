"""Detached JWS (RFC 7515, appendix F) over the exact bytes of a manifest, by Ed25519. Pure."""

import warnings
from base64 import urlsafe_b64encode

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OKPKey

from fhirbridge.audit.notes import Verifier, verifier_of

ALGORITHM = "EdDSA"


def sign(raw: bytes, name: str, seed: bytes) -> str:
    """Return `header..signature`; the header names the key by its id."""
    header = {"alg": ALGORITHM, "kid": verifier_of(name, seed).id}
    key = OKPKey.import_key({**_public(verifier_of(name, seed)), "d": _text(seed)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # says that Ed25519 is the newer name
        whole = jws.serialize_compact(header, raw, key, algorithms=[ALGORITHM])
    head, _, signature = whole.split(".")
    return f"{head}..{signature}"


def signer(signature: str, raw: bytes, trusted: list[Verifier]) -> Verifier | None:
    """Return which of the keys signed these bytes; None for none of them."""
    head, parted, tail = signature.strip().partition("..")
    if not parted:
        return None
    whole = f"{head}.{_text(raw)}.{tail}"
    for one in trusted:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)
                found = jws.deserialize_compact(
                    whole, OKPKey.import_key(_public(one)), algorithms=[ALGORITHM]
                )
        except (JoseError, ValueError):
            continue
        if found.headers().get("kid") == one.id:
            return one
    return None


def _public(key: Verifier) -> dict[str, str | list[str]]:
    return {"kty": "OKP", "crv": "Ed25519", "x": _text(key.public)}


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
