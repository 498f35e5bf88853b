from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from fhirbridge.sandbox.calls import LARGEST_BODY
from fhirbridge.sandbox.storage import MemoryStorage, SqliteStorage, Version
from tests.sandbox.an_ehr import AnEhr, Said, observation, patient, put_entry

IDS = ("a", "b")
Request = tuple[str, str, object, dict[str, str]]


def resources() -> st.SearchStrategy[dict[str, Any]]:
    patients = st.builds(
        patient,
        st.sampled_from(IDS),
        active=st.booleans(),
        identifier=st.sampled_from(IDS).map(lambda value: [{"system": "urn:t", "value": value}]),
    )
    subjects = st.sampled_from(
        ["Patient/a", "Patient/b", "Patient/c", "Patient?identifier=urn:t|a", "urn:uuid:x", "#x"]
    )
    return patients | st.builds(observation, st.sampled_from(IDS), subjects)


def conditions(name: str) -> st.SearchStrategy[dict[str, str]]:
    versions = st.sampled_from(['W/"0"', 'W/"1"', 'W/"2"', '"3"', "4", "x", ""])
    return st.just({}) | versions.map(lambda version: {name: version})


def targets() -> st.SearchStrategy[str]:
    ends = st.sampled_from(["", "/_history", "/_history/1", "/_history/9"])
    instances = st.builds(
        "/{}/{}{}".format, st.sampled_from(["Patient", "Observation"]), st.sampled_from(IDS), ends
    )
    others = st.sampled_from(
        ["/Patient?identifier=a", "/Observation?patient=a", "/_history", "/metadata", "/", "/X/1"]
    )
    return instances | others


def entries() -> st.SearchStrategy[dict[str, Any]]:
    puts = st.builds(
        lambda resource, condition: put_entry(resource, **condition),
        resources(),
        conditions("ifMatch"),
    )
    posts = resources().map(
        lambda resource: {
            "fullUrl": "urn:uuid:x",
            "resource": resource,
            "request": {
                "method": "POST",
                "url": resource["resourceType"],
                "ifNoneExist": "identifier=urn:t|a",
            },
        }
    )
    rest = st.builds(
        lambda method, url: {"request": {"method": method, "url": url.lstrip("/")}},
        st.sampled_from(["GET", "DELETE", "PATCH"]),
        targets(),
    )
    return puts | posts | rest


def requests() -> st.SearchStrategy[Request]:
    puts = st.builds(
        lambda resource, condition: (
            "PUT",
            f"/{resource['resourceType']}/{resource['id']}",
            resource,
            condition,
        ),
        resources(),
        conditions("If_Match"),
    )
    bundles: st.SearchStrategy[Request] = st.builds(
        lambda kind, entry: (
            "POST",
            "/",
            {"resourceType": "Bundle", "type": kind, "entry": entry},
            {},
        ),
        st.sampled_from(["transaction", "batch"]),
        st.lists(entries(), max_size=4),
    )
    rest = st.tuples(
        st.sampled_from(["GET", "DELETE", "POST"]),
        targets(),
        st.none() | resources(),
        st.just({}),
    )
    return puts | bundles | rest


def versions(ehr: AnEhr) -> dict[str, int]:
    held: dict[str, int] = {}
    for version in ehr.model.snapshot():
        assert version.number == held.get(version.reference, 0) + 1
        held[version.reference] = version.number
    return held


def dangling(ehr: AnEhr) -> Iterator[str]:
    log = {version.reference: version for version in ehr.model.snapshot()}
    for version in log.values():
        reference = (version.resource or {}).get("subject", {}).get("reference", "#")
        held = log.get(reference)
        if not reference.startswith("#") and (held is None or held.resource is None):
            yield reference


@settings(max_examples=200, deadline=None)
@given(st.lists(requests(), max_size=12))
def test_no_request_breaks_it_and_versions_only_grow(
    sequence: list[Request],
) -> None:
    ehr = AnEhr()
    before: dict[str, int] = {}
    for method, target, body, headers in sequence:
        log = ehr.model.snapshot()
        answer = ehr.send(method, target, body, **headers)
        after = versions(ehr)

        assert answer.status < 500
        assert ehr.model.snapshot()[: len(log)] == log
        assert all(after[name] >= number for name, number in before.items())
        assert answer.status < 400 or ehr.model.snapshot() == log
        assert list(dangling(ehr)) == []
        before = after


@settings(max_examples=50, deadline=None)
@given(st.lists(requests(), max_size=8))
def test_the_same_requests_get_the_same_answers(
    sequence: list[Request],
) -> None:
    one, two = AnEhr(), AnEhr()

    for method, target, body, headers in sequence:
        assert one.send(method, target, body, **headers) == two.send(
            method, target, body, **headers
        )


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW"]),
    target=st.text(max_size=30) | st.builds("/Patient?{}={}".format, st.text(), st.text()),
    headers=st.dictionaries(
        st.sampled_from(["If-Match", "If-None-Exist", "If-None-Match", "Prefer", "Accept"]),
        st.text(max_size=10),
    ),
    body=st.binary(max_size=40)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["resourceType", "id", "meta", "tag", "type", "entry", "request"]),
                inner | st.sampled_from(["Bundle", "Patient", "transaction", "batch"]),
                max_size=5,
            )
        ),
    ).map(codec.encode),
)
def test_nothing_that_can_be_sent_breaks_it(
    method: str, target: str, headers: dict[str, str], body: bytes
) -> None:
    ehr = AnEhr()
    ehr.put(patient())

    status, _, content = ehr.model.handle(
        method, target, {"Content-Type": "application/json", **headers}, body
    )

    assert status < 500
    assert status < 400 or codec.decode(content)["resourceType"] == "OperationOutcome"


@settings(max_examples=25, deadline=None)
@given(st.lists(requests(), max_size=8))
def test_memory_and_file_answer_alike(
    tmp_path_factory: pytest.TempPathFactory,
    sequence: list[Request],
) -> None:
    path: Path = tmp_path_factory.mktemp("alike") / "sandbox.db"
    storage = SqliteStorage(path)
    memory, file = AnEhr(MemoryStorage()), AnEhr(storage)

    for method, target, body, headers in sequence:
        assert memory.send(method, target, body, **headers) == file.send(
            method, target, body, **headers
        )
    storage.close()
    reopened = SqliteStorage(path)
    assert AnEhr(reopened).model.snapshot() == memory.model.snapshot()
    reopened.close()


def test_a_server_that_keeps_to_r4_says_412_to_a_stale_update() -> None:
    ehr = AnEhr(stale_status=HTTPStatus.PRECONDITION_FAILED)
    ehr.put(patient())

    assert ehr.put(patient(active=True), If_Match='W/"0"').status == 412


def test_a_backup_brings_back_the_past_and_its_numbers() -> None:
    ehr = AnEhr()
    ehr.put(patient())
    backup = ehr.model.snapshot()
    ehr.put(patient(active=True))
    ehr.put(patient("b"))

    ehr.model.restore(backup)

    assert ehr.send("GET", "/Patient/a").headers["ETag"] == 'W/"1"'
    assert ehr.send("GET", "/Patient/b").status == 404
    assert ehr.put(patient(active=False), If_Match='W/"1"').headers["ETag"] == 'W/"2"'


def test_what_is_held_is_counted_by_type() -> None:
    ehr = AnEhr()
    ehr.put(patient())
    ehr.put(patient("b"))
    ehr.put(observation())
    ehr.send("DELETE", "/Patient/b")

    assert ehr.model.counts() == {"Observation": 1, "Patient": 1}


def refuse(answer: Said) -> tuple[int, str]:
    return answer.status, answer.body["issue"][0]["code"]


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected"),
    [
        ("PATCH", "/Patient/a", {}, (405, "not-supported")),
        ("DELETE", "/Patient", {}, (405, "not-supported")),
        ("GET", "/", {}, (400, "invalid")),
        ("GET", "/?_getpages=7", {}, (410, "not-found")),
        ("GET", "/Patient/a/b/c/d", {}, (404, "not-found")),
        ("GET", "/Patient/a", {"Accept": "application/fhir+xml"}, (406, "not-supported")),
        ("PUT", "/Patient/a", {"Content-Type": "application/fhir+xml"}, (415, "not-supported")),
        ("PUT", "/Patient/a", {"Content-Encoding": "gzip"}, (415, "not-supported")),
        ("POST", "/Patient/_search", {}, (415, "not-supported")),
        ("PUT", "/Patient/a", {"If-Match": "*"}, (400, "invalid")),
        ("GET", "/Patient?_lastUpdated=x", {}, (400, "invalid")),
    ],
)
def test_what_it_does_not_do_it_says(
    method: str, target: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    ehr = AnEhr()
    named = {name.replace("-", "_"): value for name, value in headers.items()}

    assert refuse(ehr.send(method, target, patient(), **named)) == expected


def test_a_body_too_large_is_refused_unread() -> None:
    ehr = AnEhr()

    status, _, _ = ehr.model.handle("POST", "/Patient", {}, b" " * (LARGEST_BODY + 1))

    assert status == 413


def test_a_refusal_never_repeats_what_was_sent() -> None:
    ehr = AnEhr()
    secret = "canary7f3"
    sent = [
        ehr.send("GET", f"/Patient?{secret}={secret}"),
        ehr.send("GET", f"/{secret}/{secret}"),
        ehr.send("GET", f"/Patient/{secret}"),
        ehr.put(observation("o", f"Patient/{secret}")),
        ehr.put(observation("o", secret)),
        ehr.put(patient("a", meta={"tag": secret})),
        ehr.send("PUT", f"/Patient/{secret}", patient()),
        ehr.send("POST", "/Patient", patient(), If_None_Exist=f"identifier={secret}"),
    ]

    assert all(answer.status >= 400 for answer in sent)
    assert secret not in str([answer.body for answer in sent])


@pytest.mark.parametrize(
    ("prefer", "kind"), [("return=minimal", None), ("return=OperationOutcome", "OperationOutcome")]
)
def test_a_write_answers_as_preferred(prefer: str, kind: str | None) -> None:
    answer = AnEhr().put(patient(), Prefer=prefer)

    assert (answer.body or {}).get("resourceType") == kind
    assert answer.headers["ETag"] == 'W/"1"'


class MeetingStorage(MemoryStorage):
    """Keeps each reader waiting for a second one, who comes only if nothing holds it back."""

    def __init__(self) -> None:
        super().__init__()
        self._meeting = Barrier(2)

    def latest(self, resource_type: str, resource_id: str) -> Version | None:
        found = super().latest(resource_type, resource_id)
        with suppress(BrokenBarrierError):
            self._meeting.wait(timeout=0.2)
        return found


def test_no_request_starts_before_the_last_one_is_done() -> None:
    ehr = AnEhr(MeetingStorage())

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: ehr.put(patient(), If_Match='W/"0"').status, range(2)))

    assert sorted(answers) == [201, 409]
