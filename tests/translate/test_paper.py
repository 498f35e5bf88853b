"""A page as a PDF says what the page says, and the same page is the same bytes."""

import io
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from pypdf import PdfReader

from fhirbridge.translate.documents import letters, paper

NAMES = [
    "Nguyễn Thị Hồng",
    "Þórdís Łukasz Žofie",
    "Ολυμπία Ελένη",
    "Юлия Шевченко",
    "Գայանե",
    "ნინო",
    "王小明",
    "佐藤さくら",
    "김민수",
    "ปรีชา",
    "ሰላማዊት",
]
JOINED = ["שלמה", "محمد", "नरेन्द्र", "রবীন্দ্রনাথ", "கண்ணன்", "ਹਰਪ੍ਰੀਤ", "ગાંધી", "సీత", "ಕನ್ನಡ"]


def read(page: str) -> PdfReader:
    return PdfReader(io.BytesIO(paper.pdf(page, "A page")))


def text_of(page: str) -> str:
    return "\n".join(sheet.extract_text() for sheet in read(page).pages)


def words(text: str) -> list[str]:
    return text.split()


def test_each_kind_of_element_is_written() -> None:
    page = (
        "<!DOCTYPE html><html lang='en'><head><title>No</title><style>p { color: red }</style>"
        "</head>"
        "<body><header><h1>Head</h1><p class='notice'>Mind this</p></header>"
        "<section><h2>Part</h2>bare &amp; <b>bold</b> text<p>One<br>two</p>"
        "<ul><li>item<ul><li>inner</li></ul></li></ul><ol><li>first</li><li>second</li></ol>"
        "<dl><dt>Term</dt><dd>said</dd><div><dt>Other</dt><dd><p>a</p><p>b</p></dd></div></dl><hr>"
        "<table><caption>Of two</caption><thead><tr><th>A</th><th>B</th></tr></thead>"
        "<tbody><tr><td>1</td><td>2</td></tr><tr><td colspan='2'>both</td></tr></tbody></table>"
        "<img src='x.png' alt='a picture'></section></body></html>"
    )

    assert words(text_of(page)) == words(
        "Head Mind this Part bare & bold text One two • item • inner 1. first 2. second"
        " Term said Other a b Of two A B 1 2 both a picture Page 1 of 1"
    )


def test_nothing_of_the_page_is_in_the_metadata() -> None:
    found = read("<html lang='en'><head><title>CANARY</title></head><p>CANARY</p></html>")

    metadata = {name: str(value) for name, value in (found.metadata or {}).items()}
    assert metadata == {
        "/Title": "A page",
        "/Producer": "fhirbridge",
        "/CreationDate": "D:20000101000000Z",
    }
    assert found.xmp_metadata is None
    assert str(found.root_object["/Lang"]) == "en"


def test_the_same_page_is_the_same_bytes_in_this_process_and_in_another() -> None:
    page = f"<h1>Note</h1><p>{' '.join(NAMES + JOINED)}</p>"
    program = (
        "import sys; from fhirbridge.translate.documents import paper;"
        "sys.stdout.buffer.write(paper.pdf(sys.stdin.read(), 'A page'))"
    )

    other = subprocess.run(
        [sys.executable, "-c", program],
        input=page.encode(),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONUTF8": "1", "PYTHONHASHSEED": "7"},
    )

    assert paper.pdf(page, "A page") == paper.pdf(page, "A page") == other.stdout


@cache
def names() -> str:
    """All of them on one sheet, as it is read back."""
    return text_of("".join(f"<p>{name}</p>" for name in NAMES + JOINED))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_can_be_read(name: str) -> None:
    assert name.replace(" ", "") in "".join(words(names()))


@pytest.mark.parametrize("name", JOINED)
def test_a_name_whose_letters_join_has_all_of_them(name: str) -> None:
    assert set(name) <= set(names())


def test_no_letter_of_the_names_is_missing() -> None:
    assert "□" not in names()


def test_a_letter_without_a_font_is_shown_as_missing_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = text_of("<p>Ann 𓀀 Example</p>")

    assert words(found)[:3] == ["Ann", "□", "Example"]
    assert "□ stands for a letter that this PDF has no font for." in " ".join(words(found))
    assert caplog.records == []


def test_letters_without_a_font_are_not_logged_in_any_weight(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rare = "".join(sorted(letters.of_font(letters.REGULAR) - letters.of_font(letters.BOLD)))

    text_of(f"<h1>{rare}</h1><dl><dt>{rare}𓀀</dt><dd>{rare}</dd></dl>")

    assert len(rare) > 10
    assert caplog.records == []


def test_an_accent_of_its_own_is_one_letter_with_what_it_stands_on() -> None:
    assert words(text_of("<p>Rene\u0301e</p>"))[0] == "Renée"


def test_a_sign_that_prints_nothing_is_left_out() -> None:
    assert words(text_of("<p>Ann\u0000\u2060\ue001</p>"))[0].startswith("Ann")


def test_a_table_goes_on_over_the_sheets_under_its_head() -> None:
    rows = "".join(f"<tr><td>{n}</td><td>row number {n}</td></tr>" for n in range(120))
    head = "<thead><tr><th>Nr</th><th>What</th></tr></thead>"

    sheets = [sheet.extract_text() for sheet in read(f"<table>{head}{rows}</table>").pages]

    assert len(sheets) > 2
    assert all("What" in sheet for sheet in sheets)
    assert [n for n in range(120) if f"row number {n}\n" not in "\n".join(sheets)] == []


def test_a_cell_longer_than_a_sheet_is_broken_and_loses_no_word() -> None:
    long = " ".join(f"w{n}" for n in range(3000))

    found = words(text_of(f"<table><tr><td>side</td><td>{long}</td></tr></table>"))

    assert [n for n in range(3000) if f"w{n}" not in found] == []


def test_a_word_longer_than_a_line_is_broken_and_loses_no_letter() -> None:
    word = "x" * 700

    cells = f"<table><tr><td>{word}</td>{'<td>W</td>' * 8}<td>{word}</td></tr></table>"

    page = f"<p>{word}</p>{cells}<dl><dt>{word}</dt></dl><h1>{word}</h1><ul><li>{word}</li></ul>"

    assert text_of(page).count("x") == 6 * 700


def test_a_term_or_a_notice_higher_than_a_sheet_loses_no_word() -> None:
    long = " ".join(f"w{n}" for n in range(1500))

    found = text_of(f"<dl><dt>{long}</dt><dd>said</dd></dl><p class='notice'>{long}</p>")

    assert [n for n in range(1500) if words(found).count(f"w{n}") != 2] == []


def test_a_term_of_which_nothing_is_said_has_a_line_of_its_own() -> None:
    page = "<dl><dt>One</dt><dt>Two</dt></dl><ul><li></li><li>item</li></ul>"

    assert text_of(page).splitlines()[:4] == ["One", "Two", "•", "• item"]


def test_a_heading_is_not_parted_from_what_it_heads() -> None:
    for lines in range(33, 41, 2):  # a sheet has room for 39
        page = f"{'<p>line</p>' * lines}<h2>Head</h2><h3>Below</h3><p>Body</p>"
        sheets = [sheet.extract_text() for sheet in read(page).pages]

        assert (
            len(
                {
                    n
                    for n, sheet in enumerate(sheets)
                    for one in ("Head", "Below", "Body")
                    if one in sheet
                }
            )
            == 1
        )


def test_the_foot_stands_on_each_sheet_with_its_number() -> None:
    page = f"{'<p>line</p>' * 90}<footer>Synthetic, Ann</footer>"

    sheets = [sheet.extract_text() for sheet in read(page).pages]

    assert [
        ("Synthetic, Ann" in one, f"Page {n} of {len(sheets)}" in one)
        for n, one in enumerate(sheets, 1)
    ] == [(True, True)] * len(sheets)


def test_an_empty_page_is_one_empty_sheet() -> None:
    assert words(text_of("")) == ["Page", "1", "of", "1"]
