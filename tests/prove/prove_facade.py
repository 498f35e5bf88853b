"""A client in another language reads a facade: npm's fhir-kit-client, which npm fetches."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

from fhirbridge.fhir import codec
from tests.source_rules import ROOT
from tests.web.fhir_served import serving
from tests.web.service import a_service

PACKAGE = "fhir-kit-client@2.0.3"
PROGRAM = ROOT / "tests" / "web" / "fhir_kit.mjs"

Say = Callable[[str], None]


def test_fhir_kit_client_reads_searches_and_pages_through_a_facade(
    tmp_path: Path, say: Say
) -> None:
    run("npm", "install", "--prefix", str(tmp_path / "npm"), PACKAGE)
    package = tmp_path / "npm" / "node_modules" / "fhir-kit-client"
    service = a_service(tmp_path / "home", io.StringIO())

    with serving(service) as served:
        found = codec.decode(run("node", str(PROGRAM), str(package), served.base, served.token))
    service.bridge.close()

    assert found["pages"] > 3
    assert len(found["observations"]) == len(set(found["observations"])) > 5
    assert found["posted"] > 0
    assert (found["told"], found["versions"]) == ("CapabilityStatement", 1)
    say(f"{PACKAGE}: {len(found['observations'])} Observations over {found['pages']} pages")


def run(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout
