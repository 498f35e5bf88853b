"""R59: a Bulk Data client that is not ours takes a whole export and one since a time.

smart-fetch of PyPI (Boston Children's Hospital). It brings much with it, so that it has an
environment of its own.
"""

import io
import sqlite3
import subprocess
import venv
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from fhirbridge.fhir import codec
from fhirbridge.store import moment
from tests.factories import a_visit
from tests.web.fhir_served import Served, serving
from tests.web.service import Service, a_service

CLIENT = "smart-fetch==1.0.3"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", CLIENT], check=True)
    return folder / "bin" / "smart-fetch"


def in_the_database(service: Service, since: str = "") -> Counter[str]:
    """What the facade holds, and came there from a moment on, by type."""
    asked = "SELECT type, count(*) FROM ledger WHERE delivered_at >= ? GROUP BY type"
    with closing(sqlite3.connect(service.database)) as database:
        return Counter(dict(database.execute(asked, (since,)).fetchall()))


def fetched(client: Path, served: Served, folder: Path, *more: str) -> Counter[str]:
    """Let it take an export; count what it wrote, by type."""
    secret = folder.with_suffix(".token")
    secret.write_text(served.token, "utf-8")
    command = [str(client), "bulk", "--no-compression", "--no-default-filters", *more]
    command += ["--fhir-url", served.base, "--bearer-token", str(secret), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return Counter(
        {
            path.name.partition(".")[0]: len(path.read_bytes().splitlines())
            for path in folder.glob("[A-Z]*.ndjson")
        }
    )


def test_r59_smart_fetch_takes_all_and_what_came_since(
    client: Path, tmp_path: Path, say: Callable[[str], None]
) -> None:
    service = a_service(tmp_path / "home", io.StringIO())
    with serving(service) as served:
        whole = fetched(client, served, tmp_path / "whole")
        held = in_the_database(service)
        Event().wait(1.1)  # `since` is told to the second
        at = moment.to_text(service.bridge.clock.now())
        service.bridge.accept(codec.encode(a_visit(2)), actor="test")
        service.bridge.sync()
        since = fetched(client, served, tmp_path / "since", "--since", f"{at[:19]}Z")
        later = in_the_database(service, at)

    asked = whole.keys() | since.keys()  # it knows no PractitionerRole, and leaves out others
    assert whole == Counter({kind: count for kind, count in held.items() if kind in asked})
    assert since == Counter({kind: count for kind, count in later.items() if kind in asked})
    assert min(whole["Observation"], since["Observation"]) > 5
    say(
        f"R59: {CLIENT} took {whole.total()} resources of {len(whole)} types, {since.total()} since"
    )
