"""Lists: filters mean what they say, and a cursor neither misses nor doubles anything."""

from typing import Any

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from fhirbridge.web.app import create_app
from tests.deliver.refusing import refuse
from tests.factories import A_DAY, World, a_short_visit, amended
from tests.mapping_sets import few_mappings
from tests.web.documented_client import DocumentedClient, hold_to_its_document
from tests.web.service import DELIVERIES, DESTINATIONS, MOST_BYTES, SEARCH, SESSIONS


class Listed:
    """A world and its API, asked by a token of each role."""

    def __init__(self) -> None:
        self.world = World(mapped=few_mappings)
        self.world.connect()
        self.app = create_app(self.world.bridge, most_bytes=MOST_BYTES)
        hold_to_its_document(self.app)
        make = self.world.bridge.make_token
        self.tokens: dict[Role, str] = {
            role: make(name=f"a-{role}", role=role, actor="test")
            for role in Role
            if role != Role.READER
        }

    def ask(self, path: str, role: Role = Role.OPERATOR, **more: Any) -> tuple[int, Any]:
        client: Any = self.app.test_client()
        assert isinstance(client, DocumentedClient)
        head = {"Authorization": f"Bearer {self.tokens[role]}", **more.pop("headers", {})}
        answer = client.open(path, headers=head, **{"method": "GET", **more})
        return answer.status_code, codec.decode(answer.data)

    def post(self, path: str, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.ask(path, method="POST", headers=named)

    def rows(self, path: str, query: str = "") -> list[Any]:
        status, page = self.ask(f"{path}?{query}")
        assert status == 200, page
        return list(page[path.rpartition("/")[2]])

    def walk(self, path: str, query: str = "", *, between: Any = lambda: None) -> list[str]:
        """Ids of all pages, with something that happens between two of them."""
        found: list[str] = []
        cursor = ""
        while True:
            _, page = self.ask(f"{path}?{query}{f'&cursor={cursor}' if cursor else ''}")
            found += [one["id"] for one in page[path.rpartition("/")[2]]]
            cursor = page["next"]
            if not cursor:
                return found
            between()

    def take(self, count: int, first: int = 0) -> list[str]:
        """Accept so many visits of patients of their own, a minute apart but for some."""
        ids = []
        for number in range(first, first + count):
            ids.append(self.world.accept(a_short_visit(patient=f"pt-{number}")).id)
            if number % 3:
                self.world.clock.advance(A_DAY / 1440)
        return ids


@pytest.fixture
def listed() -> Listed:
    return Listed()


def test_the_last_one_comes_first_and_each_once(listed: Listed) -> None:
    ids = listed.take(7)

    walked = listed.walk(SESSIONS, "limit=2")

    assert sorted(walked) == sorted(ids)
    times = {one["id"]: one["received_at"] for one in listed.rows(SESSIONS)}
    assert [times[one] for one in walked] == sorted(times.values(), reverse=True)


@pytest.mark.parametrize("path", [SESSIONS, DELIVERIES])
def test_what_is_added_meanwhile_shifts_nothing(listed: Listed, path: str) -> None:
    listed.take(6)
    before = listed.walk(path, "limit=200")
    numbers = iter(range(100, 200))

    walked = listed.walk(path, "limit=2", between=lambda: listed.take(1, next(numbers)))

    assert walked == before


def test_pages_of_any_size_together_are_the_list(listed: Listed) -> None:
    for number in range(7):
        listed.world.accept(a_short_visit(patient=f"pt-{number}"))  # all at the same moment
    whole = [one["id"] for one in listed.rows(SESSIONS)]

    walked = [listed.walk(SESSIONS, f"limit={limit}") for limit in range(1, 9)]

    assert len(set(whole)) == 7
    assert walked == [whole] * 8


def test_filters_of_sessions(listed: Listed) -> None:
    first = listed.world.accept(a_short_visit(patient="pt-a"))
    listed.world.clock.advance(A_DAY)
    second = listed.world.accept(amended(a_short_visit(patient="pt-a")))
    other = listed.world.accept(a_short_visit(patient="pt-b"))
    session = listed.rows(SESSIONS, "state=superseded")[0]["session"]

    def ids(query: str) -> set[str]:
        return {one["id"] for one in listed.rows(SESSIONS, query)}

    assert ids(f"session={session}") == {first.id, second.id}
    assert ids("state=superseded") == {first.id}
    assert ids("state=current") == {second.id, other.id}
    assert ids("received_before=2026-05-05T09:00:00Z") == {first.id}
    assert ids("received_from=2026-05-05T11:00:00%2B02:00") == {second.id, other.id}
    assert ids("destination=ehr") == {first.id, second.id, other.id}
    assert ids("waiting=held") == set()


def test_the_session_that_the_clinic_names_is_found_and_its_name_is_in_no_address(
    listed: Listed,
) -> None:
    visit = a_short_visit(patient="pt-a")
    ids = {listed.world.accept(visit).id, listed.world.accept(amended(visit)).id}
    listed.world.accept(a_short_visit(patient="pt-b"))

    def search(session_id: str, query: str = "") -> set[str]:
        body = {"session_id": session_id}
        status, page = listed.ask(f"{SEARCH}{query}", Role.INTEGRATOR, method="POST", json=body)
        assert status == 200
        return {one["id"] for one in page["sessions"]}

    assert search(visit["session_id"]) == ids
    assert len(search(visit["session_id"], "?state=current")) == 1
    assert search("another") == set()


def test_what_waits_for_a_person_is_found_from_both_sides(listed: Listed) -> None:
    receipt = listed.world.accept(a_short_visit(patient="pt-bad"))
    (bad,) = listed.world.of_mapping(receipt, "patient")
    refuse(listed.world, lambda body: f"{body['resourceType']}/{body['id']}" == bad)
    listed.take(2)
    listed.world.settle()

    (session,) = listed.rows(SESSIONS, "waiting=parked")
    (parked,) = listed.rows(DELIVERIES, "state=parked")

    assert session["id"] == parked["record_id"] == receipt.id
    assert session["deliveries"]["parked"] == 1
    assert {one["record_id"] for one in listed.rows(DELIVERIES, f"record={receipt.id}")} == {
        receipt.id
    }
    _, shown = listed.ask(f"{DELIVERIES}/{parked['id']}")
    assert bad in [one["resource"] for one in shown["items"] if one["outcome"] == "refused"]
    assert {name: shown[name] for name in parked} == parked


def test_destinations_by_name_and_by_pause(listed: Listed) -> None:
    for name in ("b-ehr", "c-ehr"):
        listed.world.connect(name)
    listed.post(f"{DESTINATIONS}/b-ehr/pause")

    _, first = listed.ask(f"{DESTINATIONS}?limit=2")
    _, last = listed.ask(f"{DESTINATIONS}?limit=2&cursor={first['next']}")

    names = [one["name"] for page in (first, last) for one in page["destinations"]]
    assert (names, last["next"]) == (["b-ehr", "c-ehr", "ehr"], "")
    assert [one["name"] for one in listed.rows(DESTINATIONS, "paused=true")] == ["b-ehr"]
    assert len(listed.rows(DESTINATIONS, "paused=false")) == 2


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.0",
        "limit=",
        "limit=1&limit=1",
        "state=nonsense",
        "state=",
        "recieved_from=2026-01-01T00:00:00Z",
        "received_from=2026-01-01T00:00:00",
        "received_from=yesterday",
        "received_from=0001-01-01T00:00:00%2B23:59",
        "received_before=9999-12-31T23:59:59-23:59",
        "destination=%00",
        "record=" + "x" * 101,
        "cursor=x",
        "cursor=bm9uc2Vuc2U=",
        "cursor=%2e%2e",
        "cursor=",
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused_and_names_itself(
    listed: Listed, query: str
) -> None:
    status, problem = listed.ask(f"{DELIVERIES}?{query}")

    assert status == 400
    assert problem["code"] in {"E917", "E920"}
    assert problem["hint"]


def test_a_cursor_is_good_for_its_own_filter_and_list(listed: Listed) -> None:
    listed.take(3)
    _, page = listed.ask(f"{SESSIONS}?limit=1&state=current")

    statuses = [
        listed.ask(f"{path}?limit=1&{query}cursor={page['next']}")[0]
        for path, query in (
            (SESSIONS, "state=current&"),
            (SESSIONS, "state=older&"),
            (SESSIONS, ""),
            (DELIVERIES, ""),
            (DESTINATIONS, ""),
        )
    ]

    assert statuses == [200, 400, 400, 400, 400]
    # How many are wanted may change on the way.
    assert listed.ask(f"{SESSIONS}?limit=9&state=current&cursor={page['next']}")[0] == 200


@pytest.mark.parametrize("named", ["%00", "x" * 101, "%ff", "a%20b", "%2e%2e%2f", "'--", "é"])
def test_what_is_no_name_of_ours_is_not_looked_for(listed: Listed, named: str) -> None:
    for path in (SESSIONS, DELIVERIES, DESTINATIONS):
        assert listed.ask(f"{path}/{named}", Role.ADMIN)[0] == 404


def test_no_list_says_anything_of_a_patient(listed: Listed) -> None:
    canary = "Kanarienvogel-7261"
    visit = a_short_visit(patient=canary, session_id=f"s-{canary}")
    visit["patient"]["name"] = {"family": canary, "given": [canary]}
    listed.world.accept(visit)

    said = [listed.ask(path)[1] for path in (SESSIONS, DELIVERIES, DESTINATIONS)]
    said += [listed.ask(f"{DELIVERIES}/{one['id']}")[1] for one in listed.rows(DELIVERIES)]

    assert canary not in str(said)
