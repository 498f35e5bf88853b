"""One wrong letter anywhere in a mapping set is found at load, or it stood in a text for people.

Every fourth letter of the small set, and hundreds of the mappings that are shipped; `make prove`
plants thousands.
"""

import re
from pathlib import Path

import pytest

from fhirbridge.translate import mapping_set
from tests.golden import translating
from tests.prove import typos
from tests.prove.typos import Finder, Typo
from tests.translate.small_set import FILES, changed, faults

# Of these the loader cannot know what was meant: words for people, addresses.
FOR_PEOPLE = re.compile(r"url:|license:|display: [A-Z]|owner:|reviewed:|text: By|^  status:$")
NOT_CHECKED = re.compile(r"message:.*|(?<=display: )\w+|note: [^,}]+|\[lb_av\]")
EVERY = 4


def letters_of(file: str) -> list[int]:
    """Offsets of every fourth letter of what is not for people."""
    found, start = [], 0
    for line in FILES[file].splitlines(keepends=True):
        if not FOR_PEOPLE.search(line):
            text = NOT_CHECKED.sub(lambda match: "." * len(match.group()), line)
            found += [start + at for at, char in enumerate(text) if char.isalpha()]
        start += len(line)
    return found[::EVERY]


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_wrong_letter_is_a_mistake_with_a_place(tmp_path: Path, file: str) -> None:
    text, silent = FILES[file], []

    for at in letters_of(file):
        wrong = text[:at] + ("q" if text[at] != "q" else "x") + text[at + 1 :]
        if not faults(tmp_path / str(at), dict(FILES) | {file: wrong}):
            silent.append(wrong.splitlines()[text[:at].count("\n")])

    assert silent == []


@pytest.mark.slow
@pytest.mark.parametrize(("count", "for_people"), [(200, False), (10, True)])
def test_a_wrong_letter_in_what_is_shipped_is_found_or_stands_in_words(
    count: int,
    for_people: bool,  # noqa: FBT001
) -> None:
    files = mapping_set.read(translating.MAPPINGS)
    planted = list(typos.plant(count, files, "some of the proof", for_people=for_people))

    found = typos.judged(planted)

    unseen = [typo for typo, one in zip(planted, found, strict=True) if one is Finder.NOBODY]
    assert [typo for typo in unseen if not typos.is_for_people(typo)] == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("conceptmaps/way.yaml", "ConceptMap/way", "ConceptMap/wax"),
        ("resources/weight.yaml", "r.note & '!'", "coalesce(r.state, 'plannex') & '!'"),
        ("documents/note.html", "{{ row.note }}", "{% if row.kind == 'befor' %}x{% endif %}"),
        ("documents/note.html", "{{ row.note }}", "{{ 'x' if row.state != 'finel' else 'y' }}"),
        ("documents/note.html", "{{ row.note }}", "{{ 'x' if row.way.key == 'vien' else 'y' }}"),
    ],
)
def test_a_word_that_is_almost_right_is_a_mistake(
    tmp_path: Path, file: str, old: str, new: str
) -> None:
    assert any(file in said for said in faults(tmp_path, changed(file, old, new)))


def test_a_typo_that_nobody_finds_would_be_reported() -> None:
    files = mapping_set.read(translating.MAPPINGS)
    text = files.by_name["resources/vital-weight.yaml"].decode("utf-8")
    comment = Typo(file="resources/vital-weight.yaml", at=text.index("# ") + 3, letter="q")

    assert typos.is_for_people(comment)
    assert typos.found_by(comment) is Finder.NOBODY
