"""A visit with everything in it reaches a real HAPI server, and is then taken back there."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fhirbridge.bridge import Bridge
from fhirbridge.fhir import codec, projection
from fhirbridge.fhir.retract import can_retract
from tests.journey import far_side
from tests.journey.installation import connect, install

pytestmark = pytest.mark.hapi

SAYS_SO = ("status", "lifecycleStatus", "verificationStatus")
WHOLE = Path(__file__).parents[2] / "mappings" / "tests" / "full-record" / "record.json"


class Arrived(NamedTuple):
    bridge: Bridge
    base_url: str
    resources: list[dict[str, Any]]


@pytest.fixture(scope="module")
def arrived(hapi: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    with install(tmp_path_factory.mktemp("whole")).bridge() as bridge:
        connect(bridge, hapi, overlay="pdf-note")
        receipt = bridge.accept(WHOLE.read_bytes(), actor="test")
        bridge.sync()
        assert bridge.status().waiting == []
        view = bridge.record(receipt.id, actor="test")
        assert view is not None
        # As HAPI got them: where the overlay makes another of a resource, that one.
        made = sorted(view["resources"], key=lambda one: str(one["overlay"]))
        sent = {one["resource"]: one for one in made}
        yield Arrived(bridge, hapi, list(sent.values()))


def test_every_resource_is_in_hapi_as_it_was_sent_and_without_error(arrived: Arrived) -> None:
    wrong = {}
    for one in arrived.resources:
        theirs = far_side.read(arrived.base_url, one["resource"])
        errors = far_side.validation_errors(arrived.base_url, theirs)
        if errors or not projection.same(one["body"], theirs):
            wrong[one["resource"]] = errors

    assert wrong == {}


def test_the_note_is_there_as_html_and_as_pdf(arrived: Arrived) -> None:
    (sent,) = [one for one in arrived.resources if one["mapping"] == "session-note"]

    theirs = far_side.read(arrived.base_url, sent["resource"])

    attached = [one["attachment"] for one in theirs["content"]]
    assert [one["contentType"] for one in attached] == ["text/html", "application/pdf"]
    assert base64.b64decode(attached[1]["data"]).startswith(b"%PDF-")


def test_no_profile_is_claimed_that_hapi_does_not_list(arrived: Arrived) -> None:
    claimed = [one for one in arrived.resources if "profile" in one["body"].get("meta", {})]

    theirs = [far_side.read(arrived.base_url, one["resource"]) for one in claimed]

    assert claimed
    assert [one for one in theirs if "profile" in one["meta"]] == []


def test_an_adverse_event_is_there_with_the_dose_it_belongs_to(arrived: Arrived) -> None:
    events = [one["body"] for one in arrived.resources if one["mapping"] == "adverse-event"]
    given = (one for one in arrived.resources if one["mapping"] == "medication-administration")
    doses = {one["resource"] for one in given}

    named = {part["reference"] for event in events for part in event.get("partOf", [])}

    assert events
    assert named
    assert named <= doses


def test_a_visit_entered_in_error_is_marked_and_what_is_shared_stays(arrived: Arrived) -> None:
    """Last in this file on purpose: it takes back what the others look at."""
    record = codec.decode(WHOLE.read_bytes())
    identity = {name: record[name] for name in ("schema", "session_id", "recorded_at")}

    arrived.bridge.accept(
        codec.encode({**identity, "version": record["version"] + 1, "status": "entered-in-error"}),
        actor="test",
    )
    arrived.bridge.sync()

    assert arrived.bridge.status().waiting == []
    for one in arrived.resources:
        theirs = far_side.read(arrived.base_url, one["resource"])
        said = codec.encode([theirs.get(name) for name in SAYS_SO])
        expected = one["scope"] == "visit" and can_retract(theirs["resourceType"])
        assert (b'"entered-in-error"' in said) is expected, one["resource"]
