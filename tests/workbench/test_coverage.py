"""Every field of the record is read by a mapping, or ignored with a reason."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from fhirbridge.cli.mapping_reports import coverage_command
from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.faults import MappingError
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.translate.values import Site
from fhirbridge.workbench import coverage
from fhirbridge.workbench.coverage import Gaps

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "fhirbridge" / "samples"
SHIPPED = mapping_set.read(ROOT / "mappings")
SITE = Site(host="clinic.example.org", tenant="east", key=b"coverage tests only, never a clinic")


def with_file(name: str, old: str, new: str) -> Files:
    text = SHIPPED.by_name[name].decode()
    assert old in text
    return replace(SHIPPED, by_name={**SHIPPED.by_name, name: text.replace(old, new).encode()})


def with_entries(*entries: str) -> Files:
    """The shipped set, and more entries in ignored.yaml."""
    added = "".join(f"  - {{field: {entry}, reason: a test, owner: test}}\n" for entry in entries)
    text = SHIPPED.by_name["ignored.yaml"].decode() + added
    return replace(SHIPPED, by_name={**SHIPPED.by_name, "ignored.yaml": text.encode()})


@cache
def shipped() -> Mapping[str, MappingSet]:
    return mapping_set.compile_all(SHIPPED, source_schema())


def gaps(files: Files, sets: Mapping[str, MappingSet] | None = None) -> Gaps:
    return coverage.gaps((sets or shipped()).values(), coverage.ignored(files))


def test_every_field_of_the_record_is_read_or_ignored_with_a_reason() -> None:
    found = gaps(SHIPPED)

    assert found.unread == ()
    assert [str(fault) for fault in found.stale] == []


@pytest.mark.parametrize(
    ("file", "rule", "field"),
    [
        ("patient", "= patient.name.prefix", "patient.name.prefix"),
        ("patient", "= contact.value", "patient.telecom.value"),
        ("vital-temperature", "translate('measure-method', v.temperature.method)",
         "vitals.temperature.method"),
        ("goal", "= g.start", "plan.goals.start"),
    ],
)  # fmt: skip
def test_one_line_less_in_a_mapping_is_a_gap(file: str, rule: str, field: str) -> None:
    name = f"resources/{file}.yaml"
    text = SHIPPED.by_name[name].decode()
    line = next(line for line in text.splitlines(keepends=True) if rule in line)
    without = with_file(name, line, "")

    compiled = mapping_set.compile_all(without, source_schema())

    assert field in gaps(without, compiled).unread


def test_a_field_that_nothing_reads_is_listed_by_its_path() -> None:
    text = (
        SHIPPED.by_name["ignored.yaml"].decode().replace('  - field: "*.related"', "  - field: x")
    )
    files = replace(SHIPPED, by_name={**SHIPPED.by_name, "ignored.yaml": text.encode()})

    assert "vitals.related" in gaps(files).unread


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("patient.id", "patient.id is read after all"),
        ("patient.nam", "the record has no field patient.nam"),
        ("patient.name.*", "is read after all"),
        ('"*.birth_date"', "patient.birth_date is read after all"),
        ('"*.related"', "is named by an entry before"),
    ],
)
def test_an_entry_that_is_out_of_date_is_listed(entry: str, said: str) -> None:
    found = gaps(with_entries(entry))

    assert len(found.stale) == 1
    assert said in found.stale[0].message


@pytest.mark.parametrize(
    "text",
    ["ignored: x\n", "ignored:\n  - {field: schema}\n", "ignord: []\n", "ignored:\n  - [a]\n"],
)
def test_a_misshapen_list_is_refused_with_its_line(text: str) -> None:
    files = replace(SHIPPED, by_name={**SHIPPED.by_name, "ignored.yaml": text.encode()})

    with pytest.raises(MappingError, match=r"E303 mappings/ignored\.yaml:\d"):
        coverage.ignored(files)


def test_without_the_list_nothing_is_ignored() -> None:
    files = {name: raw for name, raw in SHIPPED.by_name.items() if name != "ignored.yaml"}

    assert coverage.ignored(replace(SHIPPED, by_name=files)) == ()


@cache
def tally_of_samples() -> coverage.Tally:
    compiled = shipped()[""]
    expected = coverage.expected(compiled, coverage.ignored(SHIPPED))
    tally = coverage.Tally(compiled=compiled, expected=expected)
    for path in sorted(SAMPLES.glob("*.json")):
        tally.add(schema.load(path.read_bytes()).document, SITE)
    return tally


def test_a_corpus_shows_what_was_used_and_what_was_not() -> None:
    tally = tally_of_samples()

    assert tally.records == len(list(SAMPLES.glob("*.json")))
    assert tally.refused == 0
    assert tally.made["patient"] == tally.records
    assert "patient" not in tally.idle_mappings()
    assert ("route", "intravenous-infusion") in tally.rows
    assert ("route", "rectal") in tally.idle_rows()


def test_no_field_with_data_in_the_samples_is_lost() -> None:
    # The steps of a rate have ids only where an overlay makes a resource of each.
    assert set(tally_of_samples().unread) <= {"administrations.rates.id"}


def test_what_was_read_at_run_time_was_foreseen_when_the_set_was_compiled() -> None:
    tally = tally_of_samples()
    foreseen = {(one.mapping, one.element, one.line) for one in tally.compiled.written}

    assert tally.filled <= foreseen


def test_the_command_says_what_is_missing_and_fails(tmp_path: Path) -> None:
    folder = tmp_path / "mappings"
    for name, raw in SHIPPED.by_name.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    whole = CliRunner().invoke(coverage_command, [str(folder), "--json"])
    (folder / "ignored.yaml").unlink()

    without = CliRunner().invoke(coverage_command, [str(folder), "--json"])

    assert (whole.exit_code, without.exit_code) == (0, 1)
    assert "vitals.labels" in codec.decode(without.stdout.encode())["unread"]
