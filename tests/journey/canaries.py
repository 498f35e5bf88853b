"""A record with a token of its own in every field that may hold PHI, and how to look for one."""

import base64
import secrets
from copy import deepcopy
from typing import Any
from urllib.parse import quote

from fhirbridge.fhir import codec
from tests.journey.installation import SERIES

# Words of a closed list and times: they have a fixed form, so a token cannot stand there.
FIXED = frozenset(
    """
    absent_reason as_of at birth_date class clinical_status country due end expiry gender
    intent key kind language method mode npi onset ordered_at phase recorded_at role
    schema setting signed_at start state status system time timing unit use
    verification_status zone comparator labels
    """.split()  # noqa: SIM905  a word list reads best as text
)


def record_with_canaries(*, version: int = 1) -> tuple[dict[str, Any], list[str]]:
    """Return a valid record and the tokens in it. Ids keep referring to what they referred to."""
    record = deepcopy(codec.decode(SERIES[0].read_bytes()))
    record["version"] = version
    tokens: dict[str, str] = {}

    def token(text: str) -> str:
        return tokens.setdefault(text, f"Zq{secrets.token_hex(8)}")

    def fill(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: fill(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, name) for item in value]
        return token(value) if isinstance(value, str) and name not in FIXED else value

    filled = fill(record, "")
    return filled, list(tokens.values())


def hits(haystack: bytes, tokens: list[str]) -> list[str]:
    """Return the tokens that stand in these bytes, plainly or in a usual disguise."""
    lower = haystack.lower()
    return [token for token in tokens if any(form.lower() in lower for form in _forms(token))]


def _forms(token: str) -> set[bytes]:
    plain = token.encode()
    # Base64 shows a text at one of three offsets; its edges depend on the neighbours.
    shifted = {base64.b64encode(b"x" * pad + plain)[4:-4] for pad in range(3)}
    return {plain, plain.hex().encode(), quote(token).encode(), plain[::-1], *shifted}
