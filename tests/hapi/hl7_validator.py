"""The HL7 validator, loaded once for a test run and asked over a pipe."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fhirbridge.fhir import codec
from tests.hapi import jvm

HEAP = "-Xmx1000m"
SETTING = "FHIRBRIDGE_TEST_US_CORE"
PACKAGE = "us_core_610.tgz"
ROOT = Path(__file__).parents[2]


class Hl7Validator:
    """R4 by HL7's own rules, offline: no terminology server, so foreign codes are not looked up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def errors(self, resource: bytes | dict[str, Any], profile: str | None = None) -> list[str]:
        """Return what is wrong with a resource, as "place: message"; none when it is right.

        A dict is encoded as the program sends it. `profile` is checked besides meta.profile.
        """
        found = self.messages(resource, [profile] if profile else [])
        wrong = {"error", "fatal"}
        return [f"{m['location']}: {m['message']}" for m in found if m["severity"] in wrong]

    def messages(
        self, resource: bytes | dict[str, Any], profiles: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        """Return all that the validator says: severity, location, message, id."""
        text = resource if isinstance(resource, bytes) else codec.encode(resource)
        request = codec.encode({"resource": text.decode(), "profiles": list(profiles)})
        to_validator = jvm.pipe(self._process.stdin)
        to_validator.write(request.decode() + "\n")
        to_validator.flush()
        answer = jvm.pipe(self._process.stdout).readline()
        assert answer, "The validator ended; its log says why."
        messages: list[dict[str, str]] = codec.decode(answer.encode())
        return messages


@contextmanager
def running(folder: Path) -> Iterator[Hl7Validator]:
    """Start the validator, with US Core where there is one; its log is `folder`/validator.log."""
    log = folder / "validator.log"
    package = us_core_package()
    packages = [str(package)] if package else []
    options = [HEAP, "-XX:TieredStopAtLevel=1"]
    with jvm.program("Validate", *packages, options=options, log=log) as process:
        jvm.said_ready(process, log)
        yield Hl7Validator(process)


def us_core_package() -> Path | None:
    """Where US Core 6.1.0 lies: as the setting says, else in a data folder beside the checkout."""
    named = os.environ.get(SETTING)  # noqa: TID251 -- a setting of the tests, not of the program
    if named:
        assert Path(named).is_file(), f"{SETTING} names no file: {named}"
        return Path(named)
    beside = sorted(ROOT.parent.glob(f"*/data/fhir-packages/{PACKAGE}"))
    return beside[0] if beside else None
