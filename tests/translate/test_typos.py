"""One wrong letter anywhere in a mapping set is found at load, or it stood in a text for people."""

import re
from pathlib import Path

import pytest

from tests.translate.small_set import FILES, faults

# Of these the loader cannot know what was meant: words for people, addresses, UCUM codes.
FOR_PEOPLE = re.compile(r"url:|license:|display: [A-Z]|owner:|reviewed:|text: By|^  status:$")
NOT_CHECKED = re.compile(r"message:.*|(?<=code: )[^,}]+}?\"?|(?<=display: )\w+")
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
