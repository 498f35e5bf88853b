"""The readable notes among the resources, as files that a person opens. Pure."""

import base64
from collections.abc import Iterator
from typing import Any

ENDINGS = {"text/html": "html", "application/pdf": "pdf"}


def files(body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each page that a DocumentReference carries."""
    if body["resourceType"] != "DocumentReference":
        return
    for place, one in enumerate(body.get("content", [])):
        attachment = one.get("attachment", {})
        kind = str(attachment.get("contentType", "")).partition(";")[0]
        if kind in ENDINGS and "data" in attachment:
            yield f"{body['id']}.{place}.{ENDINGS[kind]}", base64.b64decode(attachment["data"])
