"""What `fhirbridge destination show` and `probe` tell beside the settings."""

from typing import Any

from fhirbridge.cli import printing
from fhirbridge.destinations import modes
from fhirbridge.destinations.registry import Destination


def what_was_seen(found: Destination, *, json_wanted: bool) -> None:
    """Show claims and findings; tell each difference, and what the probe could not remove."""
    if not json_wanted:
        marks = {True: "yes", False: "no", None: "-"}
        rows = [
            [one.words, marks[one.claimed], marks[one.seen]] for one in modes.shown(found.traits)
        ]
        printing.table("What the server honours", ["", "claimed", "seen"], rows)
    for line in modes.differences(found.traits):
        printing.words(line)
    for reference in found.traits.get("left_behind", ()):
        printing.words(f"Not seen to be removed again, please delete it there: {reference}")


def notifications(calls: dict[str, Any], *, json_wanted: bool) -> None:
    """Show how its notifications stand; nothing where nobody asked for them."""
    if json_wanted or calls["state"] == "off":
        return
    names = {
        "state": "state",
        "said": "why",
        "types": "of types",
        "notified_at": "last notification",
        "heartbeat_at": "last heartbeat",
        "renewed_at": "renewed",
        "ends_at": "ends, unless renewed",
        "gaps": "events missed",
    }
    told = {**calls, "types": ", ".join(calls["types"])}
    rows = [[words, str(told[name]) or "-"] for name, words in names.items()]
    printing.table("Notifications", ["", ""], rows)
