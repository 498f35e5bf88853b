import pytest

from fhirbridge.translate.frame import RefusedError
from tests.translate.small_set import RECORD, evaluate, fault_of


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("session_id", "ses-1"),
        ("patient.family", "Synthetic"),
        ("patient.given", ["Testa", "Maria"]),
        ("visit.room", None),
        ("rows.id", ["r-1", "r-2"]),
        ("rows.steps.text", ["first"]),
        ("rows.tags", ["a", "b"]),
        ("rows[0].weight.unit", "kg"),
        ("$run.site", "clinic.example.org"),
        ("$run.tenant", "clinic-1"),
    ],
)
def test_a_path_reads_the_record(text: str, value: object) -> None:
    assert evaluate(text) == value


def test_inside_where_a_field_of_the_row_comes_before_a_part_of_the_record() -> None:
    assert evaluate("rows.where(state.empty() and status.exists()).id") == ["r-1", "r-2"]


def test_single_of_several_is_a_problem_and_not_the_first_of_them() -> None:
    with pytest.raises(RefusedError) as caught:
        evaluate("rows.single().id")

    assert caught.value.code == "E407"


@pytest.mark.parametrize(
    ("text", "code", "column", "message"),
    [
        ("patint.id", "E202", 1, "source has no field patint; did you mean 'patient'?"),
        ("patient.famly", "E202", 9, "source has no field patient.famly; did you mean 'family'?"),
        (
            "rows.weight.valu",
            "E202",
            13,
            "source has no field rows.weight.valu; did you mean 'value'?",
        ),
        ("session_id.length", "E202", 12, "a string has no field length"),
        ("$run.sites", "E202", 6, "there is no $run.sites here; did you mean 'site'?"),
        (
            "$run.delivery",
            "E202",
            6,
            "there is no $run.delivery here; only mappings of scope delivery know it",
        ),
        ("$this", "E202", 1, "there is no $this here"),
        ("patient.gender = 'femal'", "E205", 16, "it is never 'femal'; did you mean 'female'?"),
        (
            "rows.where(kind = 'befor').id",
            "E205",
            17,
            "it is never 'befor'; did you mean 'before'?",
        ),
        (
            "patient.gender in ('male' | 'femal')",
            "E205",
            16,
            "it is never 'femal'; did you mean 'female'?",
        ),
        ("rows.where(way.key = 'vien').id", "E205", 20, "it is never 'vien'; did you mean 'vein'?"),
        (
            "rows.kind = 'before'",
            "E205",
            6,
            "rows.kind is a list; use first(), single() or exists()",
        ),
        ("patient.family = 1", "E205", 16, "a string and an integer cannot be compared by ="),
        ("visit.start = 'x'", "E205", 13, "a dateTime and a string cannot be compared by ="),
        ("visit.start < visit.day", "E205", 13, "a dateTime and a date cannot be compared by <"),
        ("true < false", "E205", 6, "< cannot compare a boolean"),
        (
            "patient.family and true",
            "E205",
            9,
            "patient.family is a string; a yes or no is needed: use exists() or compare it",
        ),
        ("'a' + 'b'", "E205", 1, "this is a string, and a number is needed; texts are joined by &"),
        (
            "rows[0].score & 'x'",
            "E205",
            9,
            "& joins texts, and rows[0].score is an integer; use toString()",
        ),
        (
            "rows[0].score / 2 + 1",
            "E205",
            15,
            "this is a quotient, and a number is needed; put .round(n) after it",
        ),
        ("patient[0]", "E205", 9, "[0] needs a list, and this is an object"),
        (
            "rows.id | rows.score",
            "E205",
            9,
            "the branches must be of one kind, not integer and string",
        ),
        ("patient..id", "E201", 9, "a name must follow the dot"),
    ],
)
def test_a_mistake_is_found_at_load_and_named_at_its_column(
    text: str, code: str, column: int, message: str
) -> None:
    assert str(fault_of(text)) == f"{code} mappings/x.yaml:1:{column} {message}"


def test_no_mistake_says_what_a_record_holds() -> None:
    assert RECORD["patient"]["family"] not in str(fault_of("patient.famly"))
