"""One record of a visit in which everything is written down."""

from pathlib import Path
from typing import Any

from fhirbridge.fhir import codec

COURSE: dict[str, Any] = codec.decode(Path(__file__).with_name("whole_course.json").read_bytes())
