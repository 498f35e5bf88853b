"""Each sample record becomes exactly the resources in mappings/tests/<sample>/<mapping>.json.

`pytest tests/golden --update-golden` rewrites the files; the difference is what a reviewer reads.
"""

from copy import deepcopy
from pathlib import Path

import pytest

from fhirbridge.fhir.validate import problems
from tests.golden import translating
from tests.golden.translating import Json

FOLDER = translating.MAPPINGS / "tests"
# One record of each kind, and the two whose infusion was not one rate from start to end.
SHOWN = (
    "01-iv-series-visit-1.v1",
    "03-iv-series-visit-3.v1",
    "05-iv-series-visit-5.v1",
    "08-nasal-visit-1.v1",
    "09-intramuscular-visit-1.v1",
    "10-oral-visit-1.v1",
    translating.WHOLE,
)
NOTE = "session-note.html"


@pytest.mark.parametrize("name", SHOWN)
def test_a_sample_becomes_its_golden_resources(name: str, update_golden: bool) -> None:  # noqa: FBT001
    made = files_of(name)
    folder = FOLDER / name
    if update_golden:
        rewrite(folder, made)

    kept = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}

    assert sorted(kept) == sorted(made)
    for file, text in made.items():
        assert kept[file] == text, f"mappings/tests/{name}/{file} differs; see --update-golden"


@pytest.mark.parametrize("name", translating.SAMPLES)
def test_every_resource_of_every_sample_is_sound(name: str) -> None:
    sent = translating.sample(name)
    found = translating.translate(sent)
    last = translating.provenance(sent, found)

    wrong = {made.mapping: problems(made.body) for made in (*found.resources, last)}

    assert {mapping: said for mapping, said in wrong.items() if said} == {}


@pytest.mark.parametrize("name", translating.SAMPLES)
def test_the_same_record_gives_the_same_bytes(name: str) -> None:
    first = translating.translate(translating.sample(name))
    second = translating.translate(translating.sample(name))

    assert first == second


def files_of(name: str) -> dict[str, str]:
    """Make the golden files of one sample: one for each mapping, and the note as a page."""
    sent = translating.sample(name)
    found = translating.translate(sent)
    by_mapping: dict[str, list[Json]] = {}
    files: dict[str, str] = {}
    for made in found.resources:
        body = deepcopy(made.body)
        if made.mapping == "session-note":
            files[NOTE] = translating.note_of(body) + "\n"
            body["content"][0]["attachment"]["data"] = f"see {NOTE}"
        by_mapping.setdefault(made.mapping, []).append(body)
    for mapping, bodies in by_mapping.items():
        files[f"{mapping}.json"] = translating.pretty(bodies) + "\n"
    return files


def rewrite(folder: Path, made: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for file, text in made.items():
        (folder / file).write_text(text, encoding="utf-8")
