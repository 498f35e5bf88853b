"""Records and stock from files into a database, through the commands."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhirbridge.cli import fhirbridge
from fhirbridge.fhir import codec
from tests.records.test_stock import a_stock
from tests.records.visits import a_visit, edited

SAMPLES = Path(__file__).parents[2] / "fhirbridge" / "samples"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FHIRBRIDGE_HOME", str(tmp_path / "home"))
    assert run("init").exit_code == 0
    return tmp_path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(fhirbridge, [str(one) for one in words])


def printed(done: Result) -> Any:
    return codec.decode(done.stdout.encode())


def a_file(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else codec.encode(content))
    return path


def imported(*more: str | Path) -> Result:
    joined = [f"--with={name}={SAMPLES / name}.csv" for name in ("monitor", "pump")]
    columns = ("--columns", SAMPLES / "columns.yaml")
    return run("record", "import", *columns, *joined, "--json", *more)


def test_the_flat_exports_of_the_samples_are_taken_in_once() -> None:
    first, again = (imported(SAMPLES / "visits.csv") for _ in range(2))

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert [one["state"] for one in printed(first)] == ["current", "current"]
    assert [one["findings"] for one in printed(first)] == [[], []]
    assert [one["state"] for one in printed(again)] == ["repeated", "repeated"]


def test_a_spreadsheet_with_mark_semicolons_and_empty_lines_is_taken_in(home: Path) -> None:
    text = (SAMPLES / "visits.csv").read_text().replace(",", ";").replace("\n", "\r\n;;;\r\n")
    odd = a_file(home, "odd.csv", text.encode("utf-8-sig"))

    done = imported(odd)

    assert done.exit_code == 0
    assert [one["state"] for one in printed(done)] == ["current", "current"]


def test_an_export_with_other_content_under_a_known_version_is_refused(home: Path) -> None:
    imported(SAMPLES / "visits.csv")
    text = (SAMPLES / "visits.csv").read_text().replace("72.50", "73.00")

    done = imported(a_file(home, "changed.csv", text.encode()))

    assert done.exit_code == 1
    assert [one["refused"] for one in printed(done)] == [True, False]
    assert "send" not in printed(done)[1]


def test_an_import_that_only_checks_needs_no_database_and_takes_nothing_in() -> None:
    assert imported("--check", SAMPLES / "visits.csv").exit_code == 0

    assert [one["state"] for one in printed(imported(SAMPLES / "visits.csv"))] == ["current"] * 2


def test_columns_that_the_map_does_not_read_are_named(home: Path) -> None:
    text = (SAMPLES / "visits.csv").read_text().replace("Dose\n", "Dose,Ward\n")

    done = imported("--check", a_file(home, "more.csv", text.encode()))

    assert "more.csv: the column map does not read Ward" in done.stderr


def test_ingest_takes_sessions_and_stock_and_says_what_became_of_each(home: Path) -> None:
    files = [
        a_file(home, "visit.json", a_visit()),
        a_file(home, "stock.json", a_stock()),
        a_file(home, "broken.json", edited(a_stock(), ("/losses/0/kind", "thft"))),
    ]

    done = run("ingest", "--json", *files)

    assert done.exit_code == 1
    assert [one["state"] for one in printed(done)] == ["current", "current", "refused"]
    assert "planned" not in printed(done)[1]


def test_stock_that_was_taken_in_is_listed_and_shown(home: Path) -> None:
    taken = printed(run("ingest", "--json", a_file(home, "stock.json", a_stock())))[0]

    listed = printed(run("stock", "list", "--json"))
    shown = printed(run("stock", "show", taken["id"]))

    assert [(one["id"], one["state"]) for one in listed] == [(taken["id"], "current")]
    assert shown["document"] == a_stock()
    assert "current" in run("stock", "list").stdout
    assert run("stock", "show", "0" * 32).exit_code == 1
