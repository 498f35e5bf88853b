"""A document that comes after another one, where what is there cannot be changed. Pure."""

import base64
from html import escape
from typing import Any

REPLACES = "replaces"
TITLE = "Addendum"
TAKEN_BACK = (
    "This record was entered in error and has been taken back. Do not rely on the earlier note, "
    "nor on anything else in this chart that was made from the same session."
)


def addendum(
    note: dict[str, Any], *, own: str, replaces: str, code: str = REPLACES
) -> dict[str, Any]:
    """Return a note of ours (a DocumentReference) as a new document under the id `own`.

    It `replaces` the document of ours that has that id, or stands to it as `code` says.
    """
    target = {"reference": f"DocumentReference/{replaces}"}
    description = note.get("description", "")
    return {
        **note,
        "id": own,
        "identifier": [
            {**one, "value": own} if one.get("value") == note["id"] else one
            for one in note.get("identifier", [])
        ],
        "relatesTo": [{"code": code, "target": target}],
        "description": f"{TITLE}: {description}" if description else TITLE,
    }


def in_words(note: dict[str, Any], *, own: str, replaces: str) -> dict[str, Any]:
    """Return the document that says of a note, and of all of its session, that it is taken back.

    It is no error itself: its status is current, so that it is what a reader finds.
    """
    made = addendum(note, own=own, replaces=replaces)
    title = "Session record taken back"
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"<p>{escape(TAKEN_BACK)}</p>\n</body>\n</html>\n"
    )
    attachment = {
        "contentType": "text/html",
        "language": "en",
        "data": base64.b64encode(page.encode()).decode("ascii"),
        "title": title,
    }
    said = {name: one for name, one in made.items() if name not in ("docStatus", "text")}
    return {
        **said,
        "status": "current",
        "docStatus": "final",
        "description": f"{title}. {TAKEN_BACK}",
        "content": [{"attachment": attachment}],
    }
