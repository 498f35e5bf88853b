"""ETags: who has it as it is gets 304 and no body; that it was read is noted all the same."""

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.outbox.states import State
from tests.records.visits import a_visit, edited
from tests.web.list_provocations import put_aside
from tests.web.service import DELIVERIES, Service


def test_s17_what_is_unchanged_is_said_without_a_body_and_noted(service: Service) -> None:
    where = service.send(a_visit()).headers["Location"]
    client = service.client(Role.AUDITOR)
    first = client.get(where)

    again = client.get(where, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    read = [action for _, action, _, _ in service.evidence() if action == "record.read"]
    assert len(read) == 2


def test_what_changed_is_shown_again(service: Service) -> None:
    where = service.send(a_visit()).headers["Location"]
    client = service.client(Role.AUDITOR)
    tag = client.get(where).headers["ETag"]
    service.send({**edited(a_visit(), ("/visit/room", "9")), "version": 2})

    answer = client.get(where, headers={"If-None-Match": tag})

    assert answer.status_code == 200
    assert b'"state":"superseded"' in answer.data
    assert answer.headers["ETag"] != tag


@pytest.mark.parametrize("sent", ['"another"', "nonsense", "", '"a", "b"', "\xff"])
def test_a_tag_of_something_else_changes_nothing(service: Service, sent: str) -> None:
    where = service.send(a_visit()).headers["Location"]

    answer = service.client(Role.AUDITOR).get(where, headers={"If-None-Match": sent})

    assert answer.status_code == 200


def test_a_delivery_has_a_tag_that_follows_it(service: Service) -> None:
    where = f"{DELIVERIES}/{put_aside(service, State.PARKED)}"
    client = service.client(Role.ADMIN)
    tag = {"If-None-Match": client.get(where).headers["ETag"]}

    before = client.get(where, headers=tag).status_code
    client.post(f"{where}/retry")
    after = client.get(where, headers=tag).status_code

    assert (before, after) == (304, 200)
