"""The fonts that come with the program are those that their list names, each with its licence."""

import hashlib

import pytest

from fhirbridge.translate.documents import letters

LINES = (letters.FOLDER / "SHA256SUMS").read_text(encoding="ascii").splitlines()
SUMS = {name: digest for digest, name in (line.split() for line in LINES)}


def test_each_font_is_the_file_that_was_taken_over_unchanged() -> None:
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in letters.FOLDER.glob("*.ttf")
    }

    assert found == SUMS
    assert set(found) == {letters.REGULAR, letters.BOLD, *letters.OTHERS}


@pytest.mark.parametrize("name", ["LICENSE-DejaVu.txt", "LICENSE-OFL.txt", "README.md"])
def test_licences_lie_beside_the_fonts(name: str) -> None:
    assert (letters.FOLDER / name).stat().st_size > 500


def test_the_bold_letters_are_those_of_the_regular_ones() -> None:
    missing = letters.of_font(letters.REGULAR) - letters.of_font(letters.BOLD)

    assert not any(one.isalpha() and one < "\u0600" for one in missing)


def test_a_plain_text_needs_no_other_font() -> None:
    assert letters.fonts_for("Zoë Łukasz Юлия שלמה محمد 36.25 mg/kg SpO₂ ≤ …") == ()
    assert letters.fonts_for("王") == ("DroidSansFallback.ttf",)
    assert letters.fonts_for("नरेन्द्र 김") == (
        "NotoSansDevanagari-Regular.ttf",
        "DroidSansFallback.ttf",
    )
