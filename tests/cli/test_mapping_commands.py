"""What an author of mappings sees: `map test`, `map explain` and `map diff`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhirbridge.cli.mapping import map_group
from fhirbridge.fhir import codec
from tests.journey.installation import SERIES
from tests.workbench import mappings_copy
from tests.workbench.mappings_copy import CASE, edit

CLINIC = ("resources/organization.yaml", "  active: true", "  active: false")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mappings_copy.copy(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    made = mappings_copy.copy(tmp_path / "other")
    edit(made, *CLINIC)
    return made


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    found = tmp_path / "corpus"
    found.mkdir()
    (found / "visit.json").write_bytes(SERIES[0].read_bytes())
    return found


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(map_group, list(map(str, words)), standalone_mode=True)


def test_cases_that_pass_are_listed_and_the_exit_status_is_0(folder: Path) -> None:
    done = run("test", folder)

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [f"ok    {CASE}"]
    assert "1 cases, all as expected" in done.stderr
    assert "no case reaches" in done.stderr


def test_a_difference_is_printed_and_the_exit_status_is_1(folder: Path) -> None:
    edit(folder, *CLINIC)

    done = run("test", folder)

    assert done.exit_code == 1
    assert "organization.json [0].active: expected true, found false" in done.stdout
    assert "1 of 1 cases differ" in done.stderr


def test_updating_makes_a_case_pass_and_names_what_it_wrote(folder: Path) -> None:
    edit(folder, *CLINIC)

    done = run("test", folder, "--update", "--json")

    assert done.exit_code == 0
    assert f"{CASE}/organization.json" in done.stderr
    assert codec.decode(done.stdout.encode())["cases"][0]["passed"] is True


def test_an_unknown_case_is_an_error(folder: Path) -> None:
    done = run("test", folder, "--case", "nobody")

    assert done.exit_code == 1
    assert "there is no case nobody" in str(done.exception)


def test_a_draft_explains_a_record_by_line(folder: Path) -> None:
    done = run("explain", folder, "--record", SERIES[0], "--resource", "Patient")

    assert done.exit_code == 0
    assert "Patient.birthDate" in done.stdout
    assert "<- patient.birth_date" in done.stdout
    assert "…" not in done.stdout


def test_an_explanation_for_a_program_is_one_object_to_a_line(folder: Path) -> None:
    done = run("explain", folder, "--record", SERIES[0], "--json")

    events = [codec.decode(line.encode()) for line in done.stdout.splitlines()]
    assert {event["state"] for event in events} >= {"made", "empty"}


def test_a_resource_that_the_record_does_not_make_is_an_error(folder: Path) -> None:
    done = run("explain", folder, "--record", SERIES[0], "--resource", "Claim")

    assert done.exit_code == 1
    assert "makes no Claim" in done.stderr


def test_a_diff_prints_what_changes_and_ends_well(folder: Path, other: Path, corpus: Path) -> None:
    done = run("diff", folder, other, "--corpus", corpus)

    assert done.exit_code == 0
    assert "Organization.active" in done.stdout
    assert "too small" in done.stdout
    assert "1 records compared" in done.stderr


def test_a_strict_diff_fails_where_a_version_grew_too_little(
    folder: Path, other: Path, corpus: Path
) -> None:
    done = run("diff", folder, other, "--corpus", corpus, "--strict", "--json")

    assert done.exit_code == 1
    assert "organization" in done.stderr
    (step,) = codec.decode(done.stdout.encode())["steps"]
    assert (step["needed"], step["enough"]) == ("minor", False)


def test_an_empty_corpus_is_wrong_use(folder: Path, tmp_path: Path) -> None:
    done = run("diff", folder, folder, "--corpus", tmp_path)

    assert done.exit_code == 2
    assert "no *.json" in done.stderr


@pytest.mark.parametrize("command", ["check", "test", "coverage"])
def test_a_folder_without_mappings_is_named_as_such(tmp_path: Path, command: str) -> None:
    done = run(command, tmp_path)

    assert done.exit_code == 1
    message = str(done.exception)
    assert f"{tmp_path.name}:1:1 no folder of mappings: it has none of fhirbridge.yaml" in message
    assert "missing" not in message


@pytest.mark.parametrize(
    ("name", "form", "starts"),
    [
        ("sheet.csv", (), "kind,"),
        ("sheet.csv", ("--format", "html"), "<!DOCTYPE html>"),
    ],
)
def test_the_sign_off_table_has_the_form_that_its_file_name_says(
    folder: Path, tmp_path: Path, name: str, form: tuple[str, ...], starts: str
) -> None:
    done = run("doc", folder, "--output", tmp_path / name, *form)

    assert (tmp_path / name).read_text(encoding="utf-8").startswith(starts)
    assert f"{tmp_path / name} is written" in done.stderr


def test_a_type_that_the_record_does_not_make_is_answered_with_those_it_makes(folder: Path) -> None:
    done = run("explain", folder, "--record", SERIES[0], "--resource", "Observatio")

    assert "makes no Observatio; did you mean 'Observation'?" in done.stderr


def test_a_corpus_of_the_coverage_without_records_is_wrong_use(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "none").mkdir()

    done = run("coverage", folder, "--corpus", tmp_path / "none")

    assert done.exit_code == 2
    assert "no *.json" in done.stderr


def test_a_record_of_the_corpus_that_would_be_refused_is_named_and_passed_over(
    folder: Path, corpus: Path
) -> None:
    (corpus / "bad.json").write_bytes(b"{}")

    done = run("coverage", folder, "--corpus", corpus)

    assert "bad.json: not a record that would be taken in (E102)" in done.stderr
    assert "1 records" in done.stderr
