"""A clinic with two synthetic patients whose visits are in an EHR, and an auditor with a key."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.audit import verifying
from fhirbridge.audit.verifying import UnprovenError
from fhirbridge.exporting import Package
from fhirbridge.exports.question import Question
from fhirbridge.fhir import codec
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings

VERIFIER = Path(__file__).parents[2] / "verify" / "verify.mjs"


@dataclass
class Clinic:
    """One bridge, one EHR that holds what was taken in, and a folder for packages."""

    world: World
    folder: Path
    made: list[Package] = field(default_factory=list)

    def export(self, name: str = "pack", *, at: int | None = None, **asked: Any) -> Path:
        target = self.folder / name
        sets = {name: frozenset(one) for name, one in asked.items() if isinstance(one, set)}
        question = Question(destination="ehr", **{**asked, **sets})
        made = self.world.bridge.export(question, target, actor="test", at_checkpoint=at)
        self.made.append(made)
        return target

    @property
    def keys(self) -> Path:
        """The file of public keys that the auditor has from the clinic."""
        path = self.folder / "keys.txt"
        lines = [one.line() for one in self.world.bridge.evidence_keys()]
        path.write_text("\n".join(lines), "utf-8")
        return path

    def ours(self, package: Path) -> str:
        """What our verifier says is wrong, or ""."""
        try:
            verifying.verify(package, verifying.trusted(self.keys.read_text("utf-8")))
        except UnprovenError as error:
            return error.message
        return ""

    def theirs(self, package: Path) -> str:
        """What the independent verifier says is wrong, or ""."""
        words = ["node", str(VERIFIER), str(package), str(self.keys)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == done.stdout.startswith("Sound: ")
        return done.stderr


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    """Two patients, one with two visits of a series; all of it is in the EHR."""
    world = World(mapped=few_mappings)
    world.connect()
    for number, patient in ((1, "pt-1"), (2, "pt-1"), (1, "pt-2")):
        world.take(a_short_visit(number, patient))
    return Clinic(world, tmp_path)


def names(package: Path) -> list[str]:
    return sorted(
        one.relative_to(package).as_posix() for one in package.rglob("*") if one.is_file()
    )


def bytes_of(package: Path) -> dict[str, bytes]:
    return {name: (package / name).read_bytes() for name in names(package)}


def lines(package: Path, name: str) -> list[Any]:
    return [codec.decode(one) for one in (package / name).read_bytes().splitlines()]


def resources(package: Path) -> dict[str, Any]:
    """Each resource of a package, by type and id."""
    found = {}
    for path in sorted(package.glob("resources/*.ndjson")):
        for one in lines(package, f"resources/{path.name}"):
            found[f"{one['resourceType']}/{one['id']}"] = one
    return found
