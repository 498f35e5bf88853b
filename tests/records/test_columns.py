"""Flat exports: the map of the samples, and files that spreadsheets and monitors make."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from fhirbridge.records import columns, flat, schema, tables
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.columns import ColumnMapError
from fhirbridge.records.forms import judge
from fhirbridge.records.tables import TableError

SAMPLES = Path(__file__).parents[2] / "fhirbridge/samples"
MAP = (SAMPLES / "columns.yaml").read_text(encoding="utf-8")
VISITS = """Visit,Saved,Chart,Name,Day,Begin,End,Weight,Drug,Route,Dose
s-1,03/02/2026 12:00,pt-1,Synthetic-Álvarez,03/02/2026,09:00,10:00,72.50,K,IV,36.25
s-2,03/03/2026 12:00,pt-2,Synthetic-Berg,03/03/2026,09:00,09:40,80.0,K,IM,40
"""
MONITOR = """Chart,At,HR,SpO2
pt-1,2026-03-02 09:10:00,72,98
pt-1,2026-03-02 09:20:00,80,45
"""
PUMP = """Visit,From,To,Rate,Unit
s-1,2026-03-02 09:00:00,2026-03-02 10:00:00,36.25,mg/h
"""

FORMULA = "looks like a formula; export values, not formulas"
NO_TIME = "is not a time of the form that the column map says"


def read(visits: str | bytes = VISITS, *exports: tuple[str, str], text: str = MAP) -> list[Any]:
    raw = visits.encode() if isinstance(visits, str) else visits
    joined = [(kind, f"{kind}.csv", content.encode()) for kind, content in exports]
    return flat.assemble(columns.load(text.encode()), [("visits.csv", raw)], joined)


def loaded(record: flat.FlatRecord) -> schema.CheckedRecord:
    return schema.load(codec.encode(record.document))


def messages(records: list[Any]) -> list[str]:
    return [one.message for record in records for one in record.findings]


def test_each_visit_becomes_a_record_that_passes_the_check() -> None:
    first, second = read()

    assert [loaded(one).findings for one in (first, second)] == [(), ()]
    assert first.document["administrations"][0]["drug"] == {"key": "ketamine"}
    assert second.document["administrations"][0]["route"] == {"key": "intramuscular"}
    assert first.document["patient"]["name"]["family"] == "Synthetic-Álvarez"


def test_numbers_keep_their_digits_and_times_get_the_clinics_zone() -> None:
    checked = loaded(read()[0])

    assert codec.encode(checked.document["vitals"][0]["weight"]["value"]) == b"72.50"
    assert checked.document["visit"]["start"] == "2026-03-02T09:00:00-05:00"


def test_rows_of_a_monitor_join_the_visit_of_their_patient_and_time() -> None:
    first, second = read(VISITS, ("monitor", MONITOR))

    vitals = loaded(first).document["vitals"]
    assert [row["spo2"]["value"] for row in vitals[1:]] == [98, 45]
    assert vitals[1]["phase"] == "during"
    assert len(second.document["vitals"]) == 1


def test_rows_of_a_pump_join_the_visit_of_their_id_and_are_checked_with_its_dose() -> None:
    good = read(VISITS, ("pump", PUMP))[0]
    wrong = read(VISITS, ("pump", PUMP.replace("36.25,mg/h", "90,mg/h")))[0]

    assert loaded(good).findings == ()
    assert "R306" in [one.code for one in loaded(wrong).findings]


def test_a_row_whose_patient_is_not_named_in_it_joins_no_visit() -> None:
    records = read(VISITS, ("monitor", "Chart,At,HR,SpO2\n,2026-03-02 09:10:00,72,98\n"))

    assert messages(records) == [
        "monitor.csv row 2, column At: belongs to no visit, or to more than one"
    ]


def test_a_row_of_a_device_keeps_its_id_when_the_export_is_made_again() -> None:
    again = [read(VISITS, ("monitor", MONITOR))[0].document["vitals"][1]["id"] for _ in range(2)]

    assert again == ["vitals-20260302T091000"] * 2


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ("pt-9,2026-03-02 09:10:00,72,98", "monitor.csv row 2, column At"),
        ("pt-1,2026-03-02 11:10:00,72,98", "monitor.csv row 2, column At"),
    ],
)
def test_a_row_that_belongs_to_no_visit_is_an_error_and_no_guess(row: str, where: str) -> None:
    records = read(VISITS, ("monitor", f"Chart,At,HR,SpO2\n{row}\n"))

    assert messages(records) == [f"{where}: belongs to no visit, or to more than one"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("72.50", "72.5x", "Weight: is not a number"),
        ("72.50", "NaN", "Weight: is not a number"),
        ("72.50", "1_0", "Weight: is not a number"),
        ("72.50", "1E+999999999", "Weight: is not a number"),
        ("72.50", "=A1+1", f"Weight: {FORMULA}"),
        ("Synthetic-Álvarez", "=cmd|'/c calc'!A0", f"Name: {FORMULA}"),
        ("Synthetic-Álvarez", "@SUM(A1)", f"Name: {FORMULA}"),
        ("Synthetic-Álvarez", "+cmd", f"Name: {FORMULA}"),
        ("03/02/2026 12:00", "2026-03-02", f"Saved: {NO_TIME}"),
        ("s-1,", ",", "Visit: has no id of a visit"),
    ],
)
def test_a_cell_that_cannot_be_read_names_its_row_and_column_and_not_its_text(
    old: str, new: str, message: str
) -> None:
    said = messages(read(VISITS.replace(old, new, 1)))

    assert f"visits.csv row 2, column {message}" in said


def test_what_the_check_finds_is_traced_back_to_row_and_column() -> None:
    record = read(VISITS.replace("72.50", "-5"))[0]

    held = loaded(record).findings[0]

    assert held.code == "R206"
    assert record.place(held.pointer) == "visits.csv row 2, column Weight"


def test_a_finding_of_a_whole_row_is_traced_to_one_of_its_cells() -> None:
    record = read(VISITS.replace(",K,IV,36.25", ",X,IV,36.25"))[0]

    with pytest.raises(InvalidRecordError) as refused:
        loaded(record)
    places = [record.place(one.pointer) for one in refused.value.findings]
    assert set(places) == {"visits.csv row 2, column Drug"}


def test_two_rows_of_a_visit_are_joined_and_may_not_differ() -> None:
    row = VISITS.splitlines()[1]
    same = read(f"{VISITS}{row}\n")
    other = read(f"{VISITS}{row.replace('72.50', '73')}\n")

    assert messages(same) == []
    assert messages(other) == [
        "visits.csv row 4, column Weight: differs from visits.csv row 2, column Weight"
    ]


@pytest.mark.parametrize(
    "raw",
    [
        VISITS.encode("utf-8-sig"),
        b"\xff\xfe" + VISITS.encode("utf-16-le"),
        b"\xfe\xff" + VISITS.encode("utf-16-be"),
        VISITS.replace(",", ";").encode(),
        VISITS.replace(",", "\t").encode(),
        VISITS.replace("\n", "\r\n").encode(),
        VISITS.replace("72.50", '"72.50"').encode(),
        VISITS.replace("s-1", '="s-1"').replace('="s-1"', '"=""s-1"""').encode(),
        VISITS.encode() + b",,,,,,,,,,\n\n",
    ],
)
def test_marks_delimiters_line_ends_and_quotes_of_spreadsheets_are_read(raw: bytes) -> None:
    assert [one.document for one in read(raw)] == [one.document for one in read()]


def test_another_encoding_is_read_only_where_the_map_names_it() -> None:
    raw = VISITS.encode("cp1252")
    named = MAP.replace("sessions:\n", "sessions:\n  encoding: cp1252\n", 1)

    with pytest.raises(TableError, match="not UTF-8"):
        read(raw)
    assert read(raw, text=named)[0].document == read()[0].document


def test_a_decimal_comma_is_read_where_the_map_says_so() -> None:
    named = MAP.replace("sessions:\n", 'sessions:\n  decimal: ","\n', 1)
    german = VISITS.replace(",", ";").replace("72.50", "72,50").replace("36.25", "36,25")

    assert codec.encode(read(german, text=named)[0].document) == codec.encode(read()[0].document)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (VISITS.replace("Weight", "Gewicht").encode(), "row 1 has no column Weight"),
        (VISITS.replace("Name", "Chart").encode(), "row 1 has no column Name"),
        (VISITS.replace("Saved", "Chart,Saved", 1).encode(), "column Chart more than once"),
        (VISITS.replace("36.25", "36.25,1").encode(), "row 2 has more cells"),
        (VISITS.encode() + b'"s-3', "row 4 has a quotation mark"),
        (b"\x00" + VISITS.encode(), "null characters"),
        (b"\xff\xff", "not UTF-8"),
        (b"", "row 1 has no column"),
        (VISITS.replace("IV", "x" * 20_001).encode(), "row 2, column Route: the cell is too long"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_whole(raw: bytes, says: str) -> None:
    with pytest.raises(TableError, match=says):
        read(raw)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("fhirbridge/columns/v1", "v2", "format must be"),
        ("patient.id", "patient.idd", r"patient.idd is not a field of the record; did you mean id"),
        ("unit: kg}", "unt: kg}", "unt is not a word of a column map; did you mean unit"),
        (", unit: mg}", "}", "a measure needs a unit"),
        ("  session: Visit   ", "  sesion: Visit   ", "did you mean session"),
        ("part: vitals", "part: clinic", "part must name a list"),
        ("patient.id: Chart", "patient.id: [Chart]", "must be a column"),
        ("patient.id: Chart", "patient.id: &a Chart\n    patient.rems_id: *a", "aliases"),
        ("patient.id: Chart", "patient.id: Chart\n    patient.id: Name", "a key stands twice"),
        ("patient.id: Chart", "patient.id: !!python/object:os.system Chart", "not YAML"),
        ("patient.id: Chart", "patient.id: {", "not YAML"),
    ],
)
def test_a_wrong_column_map_says_what_is_wrong(old: str, new: str, says: str) -> None:
    with pytest.raises(ColumnMapError, match=says):
        columns.load(MAP.replace(old, new, 1).encode())


def test_all_that_is_wrong_in_a_map_is_said_at_once() -> None:
    wrong = MAP.replace("patient.id", "patient.idd").replace("visit.end", "visit.ende")

    with pytest.raises(ColumnMapError) as refused:
        columns.load(wrong.encode())
    assert refused.value.message.count("is not a field") == 2


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_as_a_map_are_refused(raw: bytes) -> None:
    with pytest.raises(ColumnMapError):
        columns.load(raw)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_as_a_table_without_its_columns_are_refused(raw: bytes) -> None:
    with pytest.raises(TableError):
        tables.read(raw, wanted=["a column that nobody has"])


def test_a_header_that_is_one_long_cell_is_refused() -> None:
    with pytest.raises(TableError):
        tables.read(b"x" * 200_000, wanted=["a"])


CELLS = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters='\x00\r\n",'), max_size=8
)


@settings(deadline=None)
@given(st.lists(CELLS, min_size=11, max_size=11))
def test_any_cells_give_records_or_findings(cells: list[str]) -> None:
    header = VISITS.splitlines()[0]

    records = read(f"{header}\n{','.join(cells)}\n")

    verdicts = [judge(codec.encode(one.document)) for one in records if one.session_id]
    codes = [finding.code for verdict in verdicts for finding in verdict.findings]
    assert all(code.startswith("R") for code in codes)


def test_a_visit_may_stand_in_two_files() -> None:
    lines = VISITS.splitlines()
    other = lines[1].replace("72.50,K,IV,36.25", ",,,")
    again = f"{lines[0]}\n{other}\n{lines[2]}\n"
    files = [("a.csv", f"{lines[0]}\n{lines[1]}\n".encode()), ("b.csv", again.encode())]

    joined = flat.assemble(columns.load(MAP.encode()), files)

    assert [one.document for one in joined] == [one.document for one in read()]
    assert messages(joined) == []


def test_columns_that_the_map_does_not_read_are_named() -> None:
    sheet = columns.load(MAP.encode()).sessions
    more = VISITS.replace("Dose\n", "Dose,Ward,Comment\n")

    assert flat.unread(sheet, VISITS.encode()) == []
    assert flat.unread(sheet, more.encode()) == ["Ward", "Comment"]
