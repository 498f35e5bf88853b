"""Times with an offset: where one is missing, the clinic's zone says it, or the time is refused."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from fhirbridge.records.draft import Draft, Path
from fhirbridge.records.source import SourceField

NO_OFFSET = "has no offset, and the clinic has no zone; write it like 2026-03-02T09:30:00-05:00"
TWICE = "happens twice on that day (clocks go back); write it with its offset"
NEVER = "does not exist on that day (clocks go forward); write it with its offset"
ODD_OFFSET = (
    "falls in a year when the zone's offset was not in whole minutes; write it with its offset"
)


def check(draft: Draft, source: SourceField) -> None:
    """Give every local time the offset of the clinic's zone; refuse what that leaves in doubt."""
    name = draft.part("clinic").get("zone")
    zone = ZoneInfo(name) if isinstance(name, str) else None
    for place in draft.walk(source):
        if place.field.kind == "dateTime" and datetime.fromisoformat(place.value).tzinfo is None:
            _settle(draft, place.path, place.value, zone)


def at(value: object) -> datetime | None:
    """Read a time of the document; None where there is none."""
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _settle(draft: Draft, path: Path, value: str, zone: ZoneInfo | None) -> None:
    name = next(step for step in reversed(path) if isinstance(step, str))
    # Without a zone that can be trusted nothing more can be said, and one error is enough.
    doubt = _doubt(datetime.fromisoformat(value), zone) if zone else NO_OFFSET
    if doubt:
        code = "R113" if zone is None else "R112"
        draft.refuse(path, code, f"{name} {doubt}")
        return
    offset = datetime.fromisoformat(value).replace(tzinfo=zone).isoformat()[-len("+00:00") :]
    draft.replace(path, value + offset)
    draft.zone_applied.append("".join(f"/{step}" for step in path))


def _doubt(local: datetime, zone: ZoneInfo) -> str:
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    if first is None or second is None or first % timedelta(minutes=1):
        return ODD_OFFSET
    if first == second:
        return ""
    # fold 0 is the offset before the change: smaller in a skipped hour, greater in a doubled one.
    return TWICE if first > second else NEVER
