"""Times as the database keeps them: UTC text of one width, so that text order is time order."""

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """Write an aware time as `2026-03-02T14:00:00.000000Z`."""
    # Not strftime: it writes the year 999 in three digits.
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds')}Z"


def from_text(text: str) -> datetime:
    """Read what `to_text` wrote."""
    return datetime.fromisoformat(text)


def from_record(text: str) -> str:
    """Bring a record's date or dateTime to the stored form; a date counts from its start."""
    moment = datetime.fromisoformat(text)
    return to_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
