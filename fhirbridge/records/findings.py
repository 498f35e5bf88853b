"""What a check found in a record: values only."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is, and what happens: refused · this element held · sent and shown."""

    ERROR = "error"
    HELD = "held"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a nurse can understand and mend. The message never holds a patient's value."""

    level: Level
    code: str  # "R201", stable
    pointer: str  # RFC 6901 into the record as sent: "/vitals/3/spo2"
    message: str
    row: str = ""  # "vitals/v-03", where the element stands: a held row is no vanished one


def shown(found: Finding) -> dict[str, str]:
    """Show a finding to whoever sent the record; its row is named by the pointer."""
    return {
        "level": found.level.value,
        "code": found.code,
        "pointer": found.pointer,
        "message": found.message,
    }
