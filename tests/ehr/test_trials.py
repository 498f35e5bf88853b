"""A probe believes what it sees: a guard that a server lacks is found, and nothing stays behind."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from fhirbridge.destinations import modes
from fhirbridge.destinations.modes import Mode
from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.ehr import probe, trials
from fhirbridge.ehr.probe import Traits
from fhirbridge.fhir import codec
from tests.ehr.scripted import BASE, Flawed, Outcome, answer

PROBE = "fhirbridge-probe-1"
SEEN = Traits(software="Somebody's EHR", sandbox=False)


def test_the_sandbox_honours_all_and_keeps_nothing_of_the_probe() -> None:
    server = Flawed()

    traits = trials.try_writes(server.ehr, SEEN, PROBE)

    assert lacking(traits) == {"create_none_match"}  # as HAPI
    assert traits.left_behind == ()
    assert server.far_side.references() == []
    written = [one.body for one in server.requests if one.method in ("PUT", "POST") and one.body]
    assert all(PROBE.encode() in body for body in written)


def lacking(traits: Traits) -> set[str]:
    return {one.name for one in modes.shown(asdict(traits)) if one.seen is False}


def unguarded(request: Request) -> Request:
    headers = {name: value for name, value in request.headers.items() if name != "If-Match"}
    return replace(request, headers=headers)


def unguarded_updates(request: Request) -> Request:
    stale = request.headers.get("If-Match") not in (None, trials.NEW_BY_VERSION["ifMatch"])
    return unguarded(request) if stale else request


def unguarded_entries(request: Request) -> Request:
    if not request.body or b'"transaction"' not in request.body:
        return request
    return replace(request, body=request.body.replace(b'"ifMatch"', b'"ifMatch_"'))


def as_batch(request: Request) -> Request:
    """A server that calls it a transaction and does what it can."""
    if not request.body:
        return request
    return replace(request, body=request.body.replace(b'"transaction"', b'"batch"'))


def rounding(request: Request, outcome: Outcome) -> Outcome:
    if request.method != "GET" or not isinstance(outcome, Response):
        return outcome
    return replace(outcome, body=outcome.body.replace(b"72.50", b"72.5"))


def refusing_our_ids(request: Request) -> Request:
    ours = request.method == "PUT" and PROBE in request.url
    return replace(request, url=f"{BASE}/Nothing/x") if ours or request.url == BASE else request


def no_bundles(request: Request, outcome: Outcome) -> Outcome:
    return answer(400) if request.url == BASE else outcome


def renames(request: Request, outcome: Outcome) -> Outcome:
    """A server that gives ids of its own."""
    other = answer(200, {"resourceType": "Patient", "id": "1"})
    return other if request.method == "GET" else outcome


@pytest.mark.parametrize(
    ("server", "missing"),
    [
        (Flawed(asks=unguarded), {"create_guard", "version_guard"}),
        (Flawed(asks=unguarded_updates), {"version_guard"}),
        (Flawed(asks=unguarded_entries), {"transaction"}),
        (Flawed(asks=as_batch), {"transaction"}),
        (Flawed(says=rounding), {"decimals"}),
        (Flawed(says=no_bundles), {"transaction", "batch"}),
        (
            Flawed(asks=refusing_our_ids),
            {"own_ids", "create_guard", "transaction", "batch"},
        ),
    ],
    ids=[
        "ignores If-Match",
        "ignores a stale If-Match",
        "ignores ifMatch in a transaction",
        "runs a transaction as a batch",
        "rounds decimals",
        "takes no Bundles",
        "refuses ids of ours",
    ],
)
def test_a_guard_that_a_server_lacks_is_found(server: Flawed, missing: set[str]) -> None:
    traits = trials.try_writes(server.ehr, SEEN, PROBE)

    assert lacking(traits) == {"create_none_match", *missing}
    assert server.far_side.references() == []


def naming(*, asks: Callable[[Request], Request] = lambda request: request) -> Flawed:
    """A server that gives ids of its own."""
    server = Flawed(asks=asks)
    server.far_side.behave(assigns_ids=True)
    return server


def by_another_parameter(request: Request) -> Request:
    """A server that knows no `_tag`, and leaves out what it does not know."""
    if not request.headers.get("If-None-Exist", "").startswith("_tag"):
        return request
    headers = {k: v for k, v in request.headers.items() if k != "If-None-Exist"}
    return replace(request, headers=headers)


def finds_and_overwrites(request: Request) -> Request:
    """A server that takes a conditional create for a conditional update."""
    query = request.headers.get("If-None-Exist")
    if query is None or not query.startswith("identifier"):
        return request
    headers = {k: v for k, v in request.headers.items() if k != "If-None-Exist"}
    return replace(request, method="PUT", url=f"{request.url}?{query}", headers=headers)


NO_IDS = {"own_ids", "create_guard", "transaction", "batch"}


@pytest.mark.parametrize(
    ("server", "missing", "mode"),
    [
        (naming(), set(), Mode.ASSIGNED),
        (naming(asks=by_another_parameter), {"tag_create"}, Mode.UNPROVEN),
        (naming(asks=finds_and_overwrites), {"conditional_create"}, Mode.UNPROVEN),
        (naming(asks=unguarded), {"version_guard"}, Mode.UNPROVEN),
    ],
    ids=["is fit", "knows no _tag", "overwrites what it finds", "ignores If-Match"],
)
def test_a_server_that_names_resources_itself_is_found_out_and_keeps_nothing(
    server: Flawed, missing: set[str], mode: Mode
) -> None:
    traits = trials.try_writes(server.ehr, SEEN, PROBE)

    assert lacking(traits) == {"create_none_match", *NO_IDS, *missing}
    assert modes.choose(asdict(traits)) is mode
    assert traits.left_behind == ()
    assert server.far_side.references() == []


def test_a_server_that_gives_other_ids_does_not_take_ours() -> None:
    traits = trials.try_writes(Flawed(says=renames).ehr, SEEN, PROBE)

    assert "own_ids" in lacking(traits)


@pytest.mark.parametrize(
    "odd",
    [
        answer(200, b"<html>"),
        answer(200, b"[]"),
        answer(200, {"resourceType": "Patient", "meta": []}),
        answer(200, {"resourceType": "Patient", "meta": "1"}),
        answer(200, {"resourceType": "Patient", "meta": {"versionId": 'a"b'}}),
        answer(200, {"resourceType": "Patient"}, etag='W/"1"\r\nX: y'),
        answer(200, {"resourceType": "Patient"}, etag="\u00e4"),
        NotSent(reason="connect: refused"),
        Unknown(reason="read: cut"),
        answer(500),
    ],
    ids=[
        "HTML",
        "a list",
        "meta is a list",
        "meta is a text",
        "a version that breaks out",
        "an ETag with a line break",
        "an ETag beyond ASCII",
        "not sent",
        "unknown",
        "500",
    ],
)
def test_a_server_that_answers_nonsense_lacks_all_and_breaks_nothing(odd: Outcome) -> None:
    server = Flawed(says=lambda request, outcome: odd if request.method != "DELETE" else outcome)

    traits = trials.try_writes(server.ehr, SEEN, PROBE)

    assert {"create_guard", "version_guard", "transaction", "batch"} <= lacking(traits)


def test_what_the_probe_made_is_removed_even_if_it_breaks_off() -> None:
    server = Flawed(says=_breaks_at(5))

    with pytest.raises(RuntimeError):
        trials.try_writes(server.ehr, SEEN, PROBE)

    assert server.far_side.references() == []


def _breaks_at(number: int) -> Callable[[Request, Outcome], Outcome]:
    seen: list[Request] = []

    def says(request: Request, outcome: Outcome) -> Outcome:
        seen.append(request)
        if len(seen) == number:
            raise RuntimeError
        return outcome

    return says


def test_the_probes_patient_is_nobody_and_says_so() -> None:
    server = Flawed()

    trials.try_writes(server.ehr, SEEN, PROBE)

    first = codec.decode(next(one for one in server.requests if one.method == "PUT").body or b"")
    assert first["active"] is False
    assert first["name"][0]["family"] == "Synthetic-Probe"


# --- R22: what a server claims, and what it does --------------------------------------------------


def claiming(
    answered: Outcome, change: Callable[[dict[str, Any], dict[str, Any]], None]
) -> Outcome:
    """The statement after `change` was at its `rest` and at what it says of Patient."""
    assert isinstance(answered, Response)
    statement = codec.decode(answered.body)
    (rest,) = statement["rest"]
    (patient,) = [one for one in rest["resource"] if one["type"] == "Patient"]
    change(rest, patient)
    return replace(answered, body=codec.encode(statement))


def claims_nothing(request: Request, outcome: Outcome) -> Outcome:
    def change(rest: dict[str, Any], patient: dict[str, Any]) -> None:
        rest["interaction"] = []
        patient.clear()
        patient["type"] = "Patient"

    return claiming(outcome, change) if request.url.endswith("/metadata") else outcome


def hides_that_it_deletes(request: Request, outcome: Outcome) -> Outcome:
    def change(_rest: dict[str, Any], patient: dict[str, Any]) -> None:
        patient["interaction"] = [one for one in patient["interaction"] if one["code"] != "delete"]

    return claiming(outcome, change) if request.url.endswith("/metadata") else outcome


def honours_nothing(request: Request) -> Request:
    ours = request.method == "PUT" and PROBE in request.url
    if ours or request.url == BASE or request.url.partition("?")[0].endswith("/_history"):
        return replace(request, url=f"{BASE}/Nothing/x")
    if request.url.endswith("/_search"):
        return replace(request, body=b"identifier=nobody")
    kept = {k: v for k, v in request.headers.items() if k not in ("If-Match", "If-None-Exist")}
    return replace(request, headers=kept)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (Flawed(says=claims_nothing), {"claimed no, seen yes": 8}),
        (
            Flawed(asks=honours_nothing, says=hides_that_it_deletes),
            {"claimed yes, seen no": 7, "claimed no, seen yes": 1},
        ),
        (Flawed(), {}),
    ],
    ids=["claims nothing and honours all", "claims what it does not honour", "is honest"],
)
def test_each_of_eight_lying_flags_is_found_and_nothing_stays(
    server: Flawed, said: dict[str, int]
) -> None:
    traits = trials.try_writes(server.ehr, probe.look(server.ehr), PROBE)

    lines = modes.differences(asdict(traits))
    assert Counter(line.rpartition(": ")[2] for line in lines) == said
    assert traits.left_behind == ()
    assert server.far_side.references() == []


def test_what_could_not_be_removed_is_named() -> None:
    server = Flawed(
        asks=lambda r: replace(r, url=f"{BASE}/Nothing/x") if r.method == "DELETE" else r
    )

    traits = trials.try_writes(server.ehr, SEEN, PROBE)

    assert "delete" in lacking(traits)
    assert set(traits.left_behind) == set(server.far_side.references()) != set()


def test_one_whose_making_was_not_heard_of_is_found_and_removed() -> None:
    server = Flawed(
        says=lambda request, outcome: (
            Unknown(reason="read: cut")
            if request.method == "POST" and request.url.endswith("/Patient")
            else outcome
        )
    )

    traits = trials.try_writes(server.ehr, SEEN, PROBE)

    assert traits.left_behind == ()
    assert server.far_side.references() == []


def test_one_that_nobody_can_find_again_is_named_by_its_identifier() -> None:
    server = Flawed(
        says=lambda request, outcome: (
            Unknown(reason="read: cut")
            if request.method == "POST" and request.url != BASE
            else outcome
        )
    )

    traits = trials.try_writes(server.ehr, SEEN, PROBE)

    assert traits.left_behind == (f"a Patient of identifier {PROBE}p",)
