"""What the EHR holds, compared with what we sent."""

from typing import Any

import pytest

from fhirbridge.deliver.readback import Found, readings
from tests.deliver.sends import a_copy, a_send, an_entry

OLD = {"resourceType": "Observation", "id": "o-1", "status": "preliminary"}
OLDER = {"resourceType": "Observation", "id": "o-1", "status": "registered"}
CREATE = a_send(status="final")
UPDATE = a_send("2", status="final", known=(OLD, OLDER))


@pytest.mark.parametrize(
    ("send", "entry", "found", "version"),
    [
        (CREATE, an_entry("404 Not Found"), Found.ABSENT, ""),
        (UPDATE, an_entry("404 Not Found"), Found.MISSING, ""),
        (CREATE, an_entry("410 Gone"), Found.GONE, ""),
        (UPDATE, an_entry("410"), Found.GONE, ""),
        (CREATE, a_copy(status="final"), Found.OURS, "3"),
        (UPDATE, a_copy(status="final"), Found.OURS, "3"),
        (UPDATE, a_copy(status="preliminary"), Found.BASE, "3"),
        (UPDATE, a_copy("2", status="preliminary"), Found.BASE, "2"),
        (UPDATE, a_copy("1", status="preliminary"), Found.BASE, "1"),  # restored from a backup
        (UPDATE, a_copy(status="registered"), Found.BASE, "3"),  # one that nobody heard of
        (CREATE, a_copy(status="preliminary"), Found.EDITED, "3"),
        (UPDATE, a_copy(status="amended"), Found.EDITED, "3"),
        # The version we knew, with other content: restored, then changed. Content decides.
        (UPDATE, a_copy("2", status="amended"), Found.EDITED, "2"),
        (UPDATE, a_copy("2", status="preliminary", note=[{"text": "x"}]), Found.EDITED, "2"),
        (CREATE, a_copy(status="final", text={"div": "<div/>"}), Found.OURS, "3"),
        (CREATE, a_copy("", status="final"), Found.UNREADABLE, ""),
        (CREATE, a_copy('3"', status="final"), Found.UNREADABLE, ""),
        (CREATE, {**an_entry(), "resource": {**CREATE.body}}, Found.UNREADABLE, ""),
        (CREATE, {**an_entry(), "resource": {**CREATE.body, "meta": 3}}, Found.UNREADABLE, ""),
        (CREATE, a_copy(id="o-2", status="final"), Found.OTHER, ""),
        (UPDATE, a_copy(resourceType="Patient"), Found.OTHER, ""),
        (CREATE, {**an_entry(), "resource": {"resourceType": "Patient", "id": 3}}, Found.OTHER, ""),
        (CREATE, a_copy(resourceType="OperationOutcome"), Found.UNREADABLE, ""),
        (CREATE, a_copy(id=None, status="final"), Found.UNREADABLE, ""),
        (CREATE, an_entry("200 OK"), Found.UNREADABLE, ""),
        (CREATE, {"resource": {}}, Found.UNREADABLE, ""),
        (CREATE, an_entry("401"), Found.UNREADABLE, ""),
        (CREATE, an_entry("500"), Found.UNREADABLE, ""),
        (CREATE, an_entry("404") | {"response": "404"}, Found.UNREADABLE, ""),
        (CREATE, None, Found.UNREADABLE, ""),
        (CREATE, [], Found.UNREADABLE, ""),
    ],
)
def test_a_copy_is_ours_our_base_edited_gone_absent_or_unreadable(
    send: Any, entry: Any, found: Found, version: str
) -> None:
    (reading,) = readings([send], {"entry": [entry]})

    assert (reading.found, reading.version) == (found, version)


@pytest.mark.parametrize("answer", [{}, {"entry": []}, {"entry": "x"}, {"entry": [a_copy()] * 3}])
def test_an_answer_of_another_length_says_nothing_about_any(answer: dict[str, Any]) -> None:
    found = [reading.found for reading in readings([CREATE, UPDATE], answer)]

    assert found == [Found.UNREADABLE, Found.UNREADABLE]


def test_a_base_says_which_of_our_versions_it_is() -> None:
    (reading,) = readings([UPDATE], {"entry": [a_copy(status="registered")]})

    assert reading.known is not None
    assert reading.known.body == OLDER
