"""What an administrator sees of the live mappings: reload, live, and explain --back."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from fhirbridge import settings
from fhirbridge.fhir import codec
from tests.journey import processes
from tests.journey.installation import SERIES

pytestmark = pytest.mark.slow  # each command is a process of its own

Run = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    env = processes.environment(home=str(tmp_path / "home"))
    made: Run = lambda *words: processes.fhirbridge(*words, env=env)  # noqa: E731
    assert made("init").returncode == 0
    return made


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[str]:
    with processes.serving(tmp_path, "sandbox", env=processes.environment()) as server:
        yield f"{server.url}/fhir"


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    folder = tmp_path / "mappings"
    shutil.copytree(settings.packaged_mappings(), folder)
    for case in (folder / "tests").iterdir():
        if case.name != SERIES[0].stem:
            shutil.rmtree(case)
    return folder


def rewrite(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_a_draft_is_refused_with_its_line_and_then_mended(run: Run, draft: Path) -> None:
    file = draft / "resources" / "vital-heart-rate.yaml"
    before = run("map", "live").stdout
    rewrite(file, "v.heart_rate", "v.hart_rate")

    refused = run("map", "reload", str(draft))
    between = run("map", "live")
    rewrite(file, "v.hart_rate", "v.heart_rate")
    rewrite(file, "owner:", "note: mended\nowner:")
    done = run("map", "reload", str(draft))

    assert refused.returncode == 1
    assert "vital-heart-rate.yaml:" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert between.stdout == before
    assert "A draft was refused" in between.stderr
    assert done.returncode == 0
    assert done.stdout == run("map", "live").stdout != before


def test_a_resource_in_the_ehr_is_explained_by_the_mappings_that_made_it(
    run: Run, sandbox: str, draft: Path
) -> None:
    run("destination", "add", "ehr", sandbox)
    taken = codec.decode(run("ingest", str(SERIES[0]), "--json").stdout.encode())
    run("sync", "run")
    shown = codec.decode(run("record", "show", taken[0]["id"]).stdout.encode())
    pulse = next(
        one["resource"] for one in shown["resources"] if one["mapping"] == "vital-heart-rate"
    )
    rewrite(draft / "resources" / "vital-heart-rate.yaml", "owner:", "note: newer\nowner:")
    assert run("map", "reload", str(draft)).returncode == 0

    done = run("map", "explain", "--back", pulse)

    assert done.returncode == 0
    assert "valueQuantity" in done.stdout
    assert "<- vitals[" in done.stdout
    assert shown["mapping_set"] in done.stderr


def test_the_files_of_a_set_that_was_live_can_be_written_again(
    run: Run, draft: Path, tmp_path: Path
) -> None:
    old = run("map", "live").stdout.strip()
    rewrite(draft / "resources" / "vital-heart-rate.yaml", "owner:", "note: newer\nowner:")
    assert run("map", "reload", str(draft)).returncode == 0
    target = tmp_path / "as-it-was"

    done = run("map", "live", "--digest", old, "--write", str(target))
    again = run("map", "live", "--write", str(target))

    assert done.stdout.strip() == old
    assert run("map", "check", str(target)).stdout.strip() == old
    assert again.returncode == 1
    assert run("map", "live", "--digest", "0", "--write", str(tmp_path / "no")).returncode == 1


def test_what_no_ehr_holds_is_said(run: Run) -> None:
    done = run("map", "explain", "--back", "Observation/abc")

    assert done.returncode == 1
    assert "no destination holds Observation/abc" in done.stderr
    assert run("map", "explain").returncode == 64
