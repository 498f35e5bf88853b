from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhirbridge.cli.records import record
from fhirbridge.fhir import codec
from fhirbridge.records.forms import judge
from tests.records.test_columns import MAP, MONITOR, VISITS
from tests.records.test_stock import a_stock
from tests.records.visits import a_visit, edited


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(record, [str(one) for one in arguments])


def a_file(folder: Path, content: Any, name: str = "record.json") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else codec.encode(content))
    return path


def test_a_record_without_findings_checks_with_status_nought(tmp_path: Path) -> None:
    done = run("check", a_file(tmp_path, a_visit()))

    assert (done.exit_code, done.stdout) == (0, "")
    assert "1 checked, 0 refused, nothing found" in done.stderr


def test_warnings_and_held_elements_are_shown_and_refuse_nothing(tmp_path: Path) -> None:
    odd = edited(a_visit(), ("/vitals/0/spo2/value", 137), ("/vitals/1/spo2/value", 45))

    done = run("check", a_file(tmp_path, odd))

    assert done.exit_code == 0
    assert "R207" in done.output
    assert "R301" in done.output


def test_a_refused_record_ends_with_status_one_and_all_its_errors(tmp_path: Path) -> None:
    good = a_file(tmp_path, a_visit(), "good.json")
    bad = a_file(tmp_path, b'{"a": 1}', "bad.json")

    done = run("check", good, bad)

    assert done.exit_code == 1
    assert done.output.count("R101") == 8


def test_what_is_no_json_is_a_finding_like_any_other(tmp_path: Path) -> None:
    done = run("check", "--json", a_file(tmp_path, b"{"))

    assert done.exit_code == 1
    assert codec.decode(done.stdout.encode())[0]["findings"][0]["level"] == "error"


def test_a_stock_record_is_checked_by_its_own_form(tmp_path: Path) -> None:
    done = run("check", "--json", a_file(tmp_path, a_stock()))

    assert done.exit_code == 0
    assert codec.decode(done.stdout.encode())[0]["form"] == "fhirbridge/stock/v1"


def test_a_sample_is_the_same_for_the_same_seed_and_passes_the_check() -> None:
    first, again, other = (run("sample", "--kind", "nasal", "--seed", seed) for seed in "112")

    assert first.stdout == again.stdout != other.stdout
    assert not judge(first.stdout.encode()).refused


@pytest.mark.parametrize("form", ["fhirbridge/session/v1", "fhirbridge/stock/v1"])
def test_the_schema_of_a_form_is_json_schema_2020_12(form: str) -> None:
    printed = codec.decode(run("schema", "--form", form).stdout.encode())

    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert printed["title"] == form


def imported(folder: Path, *arguments: str | Path, visits: str = VISITS) -> Result:
    chart = a_file(folder, MAP.encode(), "map.yaml")
    monitor = a_file(folder, MONITOR.encode(), "monitor.csv")
    table = a_file(folder, visits.encode(), "visits.csv")
    return run("import", "--columns", chart, "--with", f"monitor={monitor}", *arguments, table)


def test_a_flat_export_is_written_as_records_that_pass(tmp_path: Path) -> None:
    done = imported(tmp_path, "--to", tmp_path / "out")

    written = sorted((tmp_path / "out").glob("*.json"))
    assert done.exit_code == 0
    assert [path.name for path in written] == ["record-00001.json", "record-00002.json"]
    assert not any(judge(path.read_bytes()).refused for path in written)


def test_an_import_that_only_checks_writes_nothing_and_names_row_and_column(tmp_path: Path) -> None:
    wrong = VISITS.replace("72.50", "heavy")

    done = imported(tmp_path, "--check", "--json", "--to", tmp_path / "out", visits=wrong)

    said = [one["message"] for one in codec.decode(done.stdout.encode())[0]["findings"]]
    assert done.exit_code == 1
    assert said[0] == "visits.csv row 2, column Weight: is not a number"
    assert not (tmp_path / "out").exists()


def test_a_refused_visit_is_not_written_and_the_other_is(tmp_path: Path) -> None:
    done = imported(tmp_path, "--to", tmp_path / "out", visits=VISITS.replace("72.50", "heavy"))

    assert done.exit_code == 1
    assert len(list((tmp_path / "out").glob("*.json"))) == 1


def test_an_export_that_the_map_does_not_name_is_wrong_use(tmp_path: Path) -> None:
    done = imported(tmp_path, "--with", f"scale={tmp_path / 'monitor.csv'}")

    assert done.exit_code == 2
    assert "monitor, pump" in done.output
