"""The commands of reports: into a private file or here, all noted, wrong use said at once."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fhirbridge.cli import LazyGroup, fhirbridge
from fhirbridge.fhir import codec
from tests.factories import a_short_visit
from tests.records.visits import NASAL, a_visit

PERIOD = ("--since", "2026-01-01", "--until", "2099-12-31")


def run(*words: str) -> Result:
    assert isinstance(fhirbridge, LazyGroup)
    return CliRunner().invoke(fhirbridge, list(words), standalone_mode=True)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An installation in this process that has taken in two visits."""
    folder = tmp_path_factory.mktemp("reports")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FHIRBRIDGE_HOME", str(folder / "home"))
        patched.setenv("FHIRBRIDGE_SITE", "clinic.invalid")
        assert run("init").exit_code == 0
        for name, record in (("a", a_short_visit(1)), ("b", a_visit(NASAL))):
            (folder / f"{name}.json").write_bytes(codec.encode(record))
            assert run("ingest", str(folder / f"{name}.json")).exit_code == 0
        yield folder


def test_completeness_is_nought_where_all_adds_up(home: Path) -> None:
    target = home / "completeness.json"

    done = run("audit", "completeness", *PERIOD, "--format", "json", "--output", str(target))

    assert done.exit_code == 0, done.output
    assert "Difference: 0" in done.stderr
    assert done.stdout == ""
    assert codec.decode(target.read_bytes())["difference"] == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_report_goes_to_standard_output_where_no_file_is_named() -> None:
    done = run("report", "controlled-substances", *PERIOD)

    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("report,controlled-substances")
    assert "esketamine,mg,0,0,84" in done.stdout


def test_a_file_that_is_there_stays(home: Path) -> None:
    target = home / "there.csv"
    target.write_text("kept")

    done = run("report", "access", *PERIOD, "--output", str(target))

    assert done.exit_code != 0
    assert target.read_text() == "kept"


def test_r67_what_was_submitted_is_said_by_command() -> None:
    overdue = codec.decode(run("report", "rems", *PERIOD, "--format", "json").stdout.encode())
    (row,) = overdue["tables"][0]["rows"]
    done = run("record", "submitted", row["record"], "--on", "2026-03-12")
    after = codec.decode(run("report", "rems", *PERIOD, "--format", "json").stdout.encode())

    assert (row["standing"], done.exit_code) == ("OVERDUE", 0)
    assert after["tables"][0]["rows"][0]["submitted_on"] == "2026-03-12"


def test_r70_a_patient_is_named_by_a_file(home: Path) -> None:
    name = home / "patient"
    name.write_text(str(a_short_visit(1)["patient"]["id"]))

    done = run("report", "disclosures", *PERIOD, "--patient-file", str(name), "--format", "html")

    assert done.exit_code == 0, done.output
    assert "Accounting of disclosures" in done.stdout


def test_the_evidence_as_audit_events(home: Path) -> None:
    target = home / "events.ndjson"

    done = run("audit", "export", "--fhir", str(target))

    assert done.exit_code == 0, done.output
    types = {codec.decode(line)["resourceType"] for line in target.read_bytes().splitlines()}
    assert types == {"AuditEvent"}


@pytest.mark.parametrize(
    "words",
    [
        ("report", "disclosures", *PERIOD),
        ("report", "rems", *PERIOD, "--patient", "x"),
        ("report", "access", *PERIOD, "--clinic", "x"),
        ("report", "nothing", *PERIOD),
        ("report", "access", "--since", "2026-01-01"),
        ("audit", "export"),
        ("record", "submitted", "x"),
        ("destination", "legal-basis", "ehr", ""),
    ],
)
def test_wrong_use_is_said_and_nothing_is_made(words: tuple[str, ...]) -> None:
    done = run(*words)

    assert (done.exit_code, done.stdout) == (2, "")  # click's own; `main` makes it 64


def test_a_legal_basis_is_of_a_destination_that_is_there() -> None:
    done = run("destination", "legal-basis", "nowhere", "Treatment")

    assert done.exit_code == 1
    assert "nowhere" in str(done.exception)
