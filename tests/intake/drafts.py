"""Mapping sets and drafts for tests: small ones, edited, and with an overlay that is strict."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fhirbridge.translate.mapping_set import Files
from tests import mapping_sets
from tests.factories import World

PULSE = "resources/vital-heart-rate.yaml"
PROVENANCE = "resources/provenance.yaml"
HEAD = "version: 1.0.0\nowner: a test\nreviewed: not signed off\n"
AT_NUMBER_2 = "requires:\n  - {check: visit.number != 2, message: not the second}\nowner:"


def edit(folder: Path, file: str, before: str, after: str) -> None:
    """Replace a text that stands in a file."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def strict_overlay(resources: Path) -> None:
    """An overlay whose own mapping refuses a pulse above 200."""
    overlays = resources.parent / "overlays"
    overlays.mkdir(exist_ok=True)
    text = (resources / "vital-heart-rate.yaml").read_text(encoding="utf-8")
    (resources / "vital-pulse.yaml").write_text(_strict_pulse(text), encoding="utf-8")
    (overlays / "strict.yaml").write_text(_STRICT, encoding="utf-8")


_STRICT = f"overlay: strict\n{HEAD}add: [vital-pulse]\nleave_out: [vital-heart-rate]\n"


def _strict_pulse(text: str) -> str:
    check = "optional: true\nrequires:\n  - {check: v.heart_rate.value < 200, message: too fast}\n"
    text = text.replace("mapping: vital-heart-rate", "mapping: vital-pulse", 1)
    text = text.replace("key:", "keyspace: vital-heart-rate\nkey:", 1)
    return text.replace("owner:", f"{check}owner:", 1)


Edits = Mapping[str, tuple[str, str]]


@cache
def strict() -> Files:
    """Few mappings, and the overlay `strict` that refuses a pulse above 200."""
    few = mapping_sets.few_mappings().by_name
    pulse = _strict_pulse(few[PULSE].decode()).encode()
    more = {"resources/vital-pulse.yaml": pulse, "overlays/strict.yaml": _STRICT.encode()}
    return Files(by_name={**few, **more})


def edited(files: Files, edits: Edits) -> Callable[[], Files]:
    """The same files with one text of some of them replaced."""
    changed = dict(files.by_name)
    for name, (before, after) in edits.items():
        text = changed[name].decode()
        assert before in text
        changed[name] = text.replace(before, after, 1).encode()
    made = Files(by_name=changed)
    return lambda: made


def unproven_second(files: Files) -> Callable[[], Files]:
    """The same files, and no Provenance can be made of a second visit."""
    return edited(files, {PROVENANCE: ("owner:", AT_NUMBER_2)})


def newest(world: World, name: str, kind: str) -> dict[str, Any]:
    """What one EHR shows now of the only resource of a type."""
    (one,) = [known for known in world.ledger(name) if known.type == kind]
    body: dict[str, Any] = world.ehrs[name].history(f"{one.type}/{one.id}")[-1]
    return body


def held_at(world: World) -> list[str]:
    """The destinations for which something waits for other mappings."""
    return [row.destination for row in world.rows("held") if row.reason == "translation"]
