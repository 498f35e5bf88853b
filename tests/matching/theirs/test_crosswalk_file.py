"""A table is read strictly: all that is wrong at once, by line, and nothing of it is told."""

import pytest

from fhirbridge.matching.theirs.crosswalk import Kind
from fhirbridge.matching.theirs.crosswalk_file import MOST_TOLD, CrosswalkFileError, parse

GOOD = "ours,theirs\nV-1,enc-1\nV-2,Encounter/enc-2\n"
SAME = {("Encounter", "V-1"): "enc-1", ("Encounter", "V-2"): "enc-2"}

WRITTEN = {
    "plain": GOOD.encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "with CRLF": GOOD.replace("\n", "\r\n").encode(),
    "quoted": b'"ours","theirs"\n"V-1","enc-1"\nV-2,"Encounter/enc-2"\n',
    "without an end": GOOD.strip().encode(),
    "with empty lines": GOOD.replace("\nV-2", "\n\nV-2").encode(),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_each_way_of_writing_it_is_the_same_table(form: str) -> None:
    assert parse(WRITTEN[form], Kind.VISIT).rows == SAME


def test_a_comma_and_a_quote_within_quotes_are_part_of_a_value() -> None:
    rows = parse(b'ours,theirs\n"a,""b""",enc-1\n', Kind.VISIT).rows

    assert rows == {("Encounter", 'a,"b"'): "enc-1"}


def test_what_is_said_twice_counts_once() -> None:
    loaded = parse(b"ours,theirs\nV-1,enc-1\nV-1,Encounter/enc-1\n", Kind.VISIT)

    assert (len(loaded.rows), loaded.repeated) == (1, 1)


WRONG: dict[str, tuple[Kind, bytes, str]] = {
    "no header": (Kind.VISIT, b"V-1,enc-1\n", "line 1: the header must be exactly"),
    "nothing": (Kind.VISIT, b"", "line 1: the header"),
    "semicolons": (Kind.VISIT, b"ours;theirs\nV-1;enc-1\n", "line 1: the header"),
    "another order": (Kind.VISIT, b"theirs,ours\n", "line 1: the header"),
    "a cell too many": (Kind.VISIT, b"ours,theirs\na,b,c\n", "line 2: 3 cells"),
    "a cell too few": (Kind.VISIT, b"ours,theirs\na\n", "line 2: 1 cells"),
    "empty": (Kind.VISIT, b"ours,theirs\n,b\n", "line 2: ours is empty"),
    "blanks": (Kind.VISIT, b"ours,theirs\nV-1 ,b\n", "line 2: ours begins or ends"),
    "a formula": (Kind.VISIT, b'ours,theirs\n"=HYPERLINK(1)",b\n', "line 2: ours looks like"),
    "a formula of theirs": (Kind.VISIT, b"ours,theirs\na,@b\n", "line 2: theirs looks like"),
    "a plus": (Kind.VISIT, b"ours,theirs\n+1,b\n", "line 2: ours looks like"),
    "a line within a cell": (Kind.VISIT, b'ours,theirs\n"a\nb",c\n', "line 2: ours has a char"),
    "a null": (Kind.VISIT, b"ours,theirs\na\x00b,c\n", "line"),
    "no UTF-8": (Kind.VISIT, b"ours,theirs\nV-1,a\nV-\xff,b\n", "line 3: this is not UTF-8"),
    "a quote that does not end": (Kind.VISIT, b'ours,theirs\nV-1,a\n"V-2,b\n', "after line 2"),
    "a quote in between": (Kind.VISIT, b'ours,theirs\n"V"x,a\n', "after line 1"),
    "no id": (Kind.VISIT, b"ours,theirs\na,b c\n", "line 2: theirs has no id"),
    "another type": (Kind.VISIT, b"ours,theirs\na,Patient/b\n", "theirs must be Encounter/ID"),
    "a ServiceRequest, which no dose may name": (
        Kind.ORDER, b"ours,theirs\na,ServiceRequest/b\n", "theirs must be MedicationRequest/ID",
    ),
    "a place without its type": (
        Kind.DEPARTMENT, b"ours,theirs\na,b\n", "Organization/ID or Location/ID",
    ),
    "no URI": (Kind.ASSIGNER, b"ours,theirs\nhospital,urn:x\n", "line 2: ours is no URI"),
    "no URI of theirs": (Kind.ASSIGNER, b"ours,theirs\nurn:x:1,mrn\n", "line 2: theirs is no URI"),
    "two that disagree": (
        Kind.VISIT, b"ours,theirs\nV-1,a\nV-2,b\nV-1,c\n", "line 4: it says something else",
    ),
    "too long": (Kind.VISIT, b"ours,theirs\n" + b"a" * 201 + b",b\n", "line 2: ours is longer"),
    "endless": (Kind.VISIT, b"ours,theirs\n" + b"a" * 200_000 + b",b\n", "line"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_refused_with_its_line(case: str) -> None:
    kind, raw, told = WRONG[case]

    with pytest.raises(CrosswalkFileError) as refused:
        parse(raw, kind)

    assert told in refused.value.message


def test_all_that_is_wrong_is_told_at_once_and_no_value() -> None:
    with pytest.raises(CrosswalkFileError) as refused:
        parse(b"ours,theirs\nSECRET-1,\nV-2,ok\n=SECRET-2,b\nSECRET-3,Patient/SECRET\n", Kind.VISIT)

    assert [one.partition(":")[0] for one in refused.value.message.split("; ")] == [
        "line 2", "line 4", "line 5",
    ]  # fmt: skip
    assert "SECRET" not in refused.value.message + refused.value.hint


def test_of_very_many_mistakes_the_first_are_told_and_the_others_counted() -> None:
    with pytest.raises(CrosswalkFileError) as refused:
        parse(b"ours,theirs\n" + b"a\n" * 1000, Kind.VISIT)

    assert refused.value.message.count("line ") == MOST_TOLD
    assert refused.value.message.endswith(f"and {1000 - MOST_TOLD} more")


def test_a_clinic_and_its_registered_place_may_have_the_same_word() -> None:
    rows = parse(b"ours,theirs\neast,Organization/1\neast,Location/2\n", Kind.DEPARTMENT).rows

    assert rows == {("Organization", "east"): "1", ("Location", "east"): "2"}
