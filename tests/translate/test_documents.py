import base64
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.translate.documents.markup import faults_in
from tests.translate.made import only, record_with
from tests.translate.small_set import RECORD, changed, faults, translated

NOTE = "documents/note.html"
BODY = """\
{% for row in rows %}
<p>{{ row.note }} {{ row.weight | measure }} {{ row.way | coded('way') }}</p>
{% endfor %}
"""


def shown(folder: Path, template: str, record: dict[str, Any] | None = None) -> str:
    """What a template prints, of one line of its own, without the div around it."""
    files = changed(NOTE, BODY, f"{template}\n")
    div = only(translated(folder, files, record), "person").body["text"]["div"]
    return str(div).split("\n")[1].removesuffix("</div>")


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("{{ patient.family }}", "Synthetic"),
        ("{{ rows[0].weight | measure }}", "72.50 kg"),
        ("{{ rows[0].weight.value }}", "72.50"),
        ("{{ rows[1].weight | measure }}|", "|"),
        ("{{ rows[1].weight.value }}|", "|"),  # absent, and of an absent object
        ("{{ visit.room }}|", "|"),
        ("{{ rows[0].way | coded('way') }}", "Intravenous route"),
        ("{{ rows[0].way | coded }}", "vein"),
        ("{{ visit.start | date }} {{ visit.start | time }}", "2026-03-02 09:00"),
        ("{{ visit.start | time(visit.start) }}", "09:00"),
        ("{{ visit.end | time(visit.start) }}|", "|"),
        ("{{ visit.start | time('2026-03-01T23:00:00-05:00') }}", "2026-03-02 09:00"),
        ("{{ visit.start | time('2026-03-02T09:00:00-06:00') }}", "2026-03-02 09:00 -05:00"),
        ("{{ patient.given | join(' ') }}", "Testa Maria"),
        ("{% if visit.room %}yes{% else %}no{% endif %}", "no"),
        ("{% for row in rows if row.note %}{{ loop.index }}{% endfor %}", "1"),
        ("{% for tag in rows[0].tags %}{{ tag }}{% endfor %}", "ab"),
    ],
)
def test_a_document_prints_what_the_record_holds(
    tmp_path: Path, template: str, printed: str
) -> None:
    assert shown(tmp_path, template) == printed


def test_text_of_a_record_is_never_markup(tmp_path: Path) -> None:
    record = record_with(note="<script>alert('x')</script>")

    assert shown(tmp_path, "{{ rows[0].note }}", record) == (
        "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"
    )


def test_text_of_a_record_is_never_a_template(tmp_path: Path) -> None:
    assert shown(tmp_path, "{{ rows[0].note }}", record_with(note="{{ 7 * 7 }}")) == "{{ 7 * 7 }}"


def test_a_number_in_a_document_has_no_exponent(tmp_path: Path) -> None:
    record = record_with(weight={"value": Decimal("1E+2"), "unit": "kg"})

    assert shown(tmp_path, "{{ rows[0].weight | measure }}", record) == "100 kg"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__ }}",
        "{{ rows.__class__ }}",
        "{{ patient.family.__class__.__mro__ }}",
        "{{ rows.append(1) }}",
        "{{ range(3) }}",
        "{{ rows | random }}",
        "{{ self }}",
    ],
)
def test_a_document_cannot_leave_its_sandbox(tmp_path: Path, template: str) -> None:
    files = changed(NOTE, BODY, f"{template}\n")
    if faults(tmp_path / "checked", files):
        return

    assert [problem.code for problem in translated(tmp_path, files).problems] == ["E409"]


def test_a_document_that_fails_names_its_line_and_not_the_value(tmp_path: Path) -> None:
    files = changed(NOTE, BODY, "\n{{ rows[0].note + 1 }}\n")

    (problem,) = translated(tmp_path, files, record_with(note="CANARY")).problems

    assert problem.code == "E409"
    assert "documents/note.html:3 could not be filled in" in problem.message
    assert "CANARY" not in repr(problem)


def test_a_document_becomes_base64(tmp_path: Path) -> None:
    photo = (
        "  photo:\n    - contentType: media#text/html\n      data: = document('note')\n  gender:"
    )
    files = changed("resources/person.yaml", "  gender:", photo)
    files["codes.yaml"] += "  media: {url: u, codes: {text/html: {source: test}}}\n"

    data = only(translated(tmp_path, files), "person").body["photo"][0]["data"]

    assert "calm 72.50 kg" in base64.b64decode(data).decode("utf-8")


def test_what_a_document_read_counts_as_read(tmp_path: Path) -> None:
    files = changed(NOTE, BODY, "{{ rows[0].tags | join(' ') }}\n")

    assert "rows[0].tags" not in translated(tmp_path, files).unmapped


def test_why_names_the_parts_that_a_document_read(tmp_path: Path) -> None:
    whys = only(translated(tmp_path), "person").why

    assert [(why.sources, why.rule) for why in whys if why.target == "Patient.text.div"] == [
        (("rows",), "document(note)")
    ]
    assert RECORD["rows"]


PLOT = (
    '<plot title="T"><lane name="A"><moment at="{{ t }}" label="{{ l }}"></lane>'
    '<panel name="P" least="{{ 0 }}" most="100"><line name="L">'
    '{% for v in vs %}<point at="{{ v.t }}" value="1">{% endfor %}</line></panel></plot>'
)
POINT_ON_A_LANE = [
    "<point> stands in a <line>",
    "<point> has no 'label'",
    "<point> needs 'value'",
]


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("<p>a<br>b</p>", []),
        ("{% if a %}<p>{% endif %}x{% if a %}</p>{% endif %}", []),
        ("<p class='{{ a > b }}'>x</p>", []),
        ("<p>a</q>", ["</q> closes nothing here; <p> is open"]),
        ("<div>\n<p>a</p>", ["<div> is not closed"]),
        ("<dvi>a", ["no such tag <dvi>; did you mean 'div'?"]),
        ("a</p>", ["</p> closes nothing here"]),
        (PLOT, []),
        (PLOT.replace("most=", "moste="), ["<panel> has no 'moste'; did you mean 'most'?"]),
        (PLOT.replace('"100"', '"l00"'), ["'most' of a <panel> is a number"]),
        (PLOT.replace(' value="1"', ""), ["<point> needs 'value'"]),
        (PLOT.replace("<moment", "<point"), POINT_ON_A_LANE),
        (PLOT.replace("<moment", "<br><moment"), ["<br> does not stand in a <lane>"]),
        (
            PLOT.replace("</lane>", ""),
            ["<panel> stands in a <plot>", "</plot> closes nothing here; <lane> is open"],
        ),
        ('<line name="x"></line>', ["<line> stands in a <panel>"]),
    ],
)
def test_tags_are_known_and_closed(text: str, messages: list[str]) -> None:
    assert [fault.message for fault in faults_in(text, "x.html")] == messages


def test_a_plot_is_refused_in_a_narrative(tmp_path: Path) -> None:
    plot = '<plot title="T"></plot>'

    found = faults(tmp_path, changed(NOTE, BODY, plot))

    assert len(found) == 1
    assert "has a <plot>, and R4 takes no drawing in a text.div" in found[0]
