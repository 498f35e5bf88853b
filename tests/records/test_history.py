"""Versions of a record are kept, never changed; the newest counts, in whatever order they come."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from fhirbridge.records import history
from fhirbridge.records.history import Appended, NewVersion, PatientChangedError, VersionTakenError
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import ShreddedError, Vault
from fhirbridge.store.tables import payload_key, quarantine, record
from tests.fakes import SeededRng

NOW = "2026-05-04T09:00:00.000000Z"
EARLIER = "2026-05-03T09:00:00.000000Z"
LATER = "2026-05-05T09:00:00.000000Z"


class Shelf:
    """A database and its vault, in one transaction."""

    def __init__(self) -> None:
        self._store = Store("sqlite://")
        self._store.create()
        self.vault = Vault(bytes(range(32)), SeededRng())
        self._begun = self._store.begin()
        self.tx: Connection = self._begun.__enter__()

    def close(self) -> None:
        self._begun.__exit__(None, None, None)
        self._store.close()

    def append(self, new: NewVersion) -> Appended:
        return history.append(self.tx, self.vault, new)

    def put_aside(self, name: str, *, at: str = NOW, expires_at: str = LATER) -> None:
        history.put_aside(
            self.tx,
            self.vault,
            row_id=name,
            at=at,
            expires_at=expires_at,
            code="E102",
            findings=2,
            raw=b'{"patient":"Synthetic-Canary"}',
        )

    def expire(self, *, now: str = NOW, keep: int = 10) -> int:
        return history.expire_quarantine(self.tx, self.vault, now=now, keep=keep)

    def set_aside(self) -> list[str]:
        return sorted(self.tx.scalars(select(quarantine.c.id)))

    def states(self) -> dict[int, str]:
        rows = self.tx.execute(select(record.c.version, record.c.state))
        return {row.version: row.state for row in rows}


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    made = Shelf()
    yield made
    made.close()


def a_version(version: int = 1, **more: Any) -> NewVersion:
    plain = NewVersion(
        id=f"r{version}",
        session_key="ksession",
        version=version,
        patient_key="kpatient",
        subject="kpatientid",
        in_error=False,
        received_at=NOW,
        recorded_at=NOW,
        digest=f"digest {version}",
        labels="",
        translation="done",
        set_digest="set 1",
        warnings=0,
        held=0,
        content={"document": {"version": version}, "findings": [], "problems": []},
    )
    return replace(plain, **more)


@pytest.mark.parametrize("order", list(permutations([1, 2, 3])), ids=str)
def test_the_newest_source_version_is_current_in_whatever_order_they_come(
    shelf: Shelf, order: tuple[int, ...]
) -> None:
    for version in order:
        shelf.append(a_version(version))

    states = shelf.states()
    assert states[3] == "current"
    assert "current" not in (states[1], states[2])
    assert [row.id for row in history.current_versions(shelf.tx)] == ["r3"]


def test_each_version_says_what_it_replaced(shelf: Shelf) -> None:
    first = shelf.append(a_version(1))
    third = shelf.append(a_version(3))
    second = shelf.append(a_version(2))

    assert first == Appended(id="r1", state="current", replaces="")
    assert third == Appended(id="r3", state="current", replaces="r1")
    assert second == Appended(id="r2", state="older", replaces="")
    assert shelf.states() == {1: "superseded", 2: "older", 3: "current"}


@given(st.permutations([1, 2, 3, 4, 5]), st.lists(st.integers(0, 4), max_size=5))
def test_repeats_and_order_never_change_what_is_current(
    order: list[int], repeats: list[int]
) -> None:
    shelf = Shelf()
    for number in [*order, *(order[place] for place in repeats)]:
        shelf.append(a_version(number, id=f"r{number} of {len(shelf.states())}"))

    assert len(shelf.states()) == 5
    assert [row.version for row in history.current_versions(shelf.tx)] == [5]
    shelf.close()


def test_the_same_content_again_is_a_repeat_that_stores_nothing(shelf: Shelf) -> None:
    shelf.append(a_version(1))

    again = shelf.append(a_version(1, id="another"))

    assert again == Appended(id="r1", state="repeated", replaces="")
    assert len(shelf.tx.execute(select(record)).all()) == 1
    assert shelf.tx.scalars(select(payload_key.c.owner)).all() == ["r1"]


@pytest.mark.parametrize("newer", [False, True])
def test_other_content_under_a_version_that_is_taken_is_refused_and_the_first_stays(
    shelf: Shelf, *, newer: bool
) -> None:
    shelf.append(a_version(1))
    if newer:
        shelf.append(a_version(2))

    with pytest.raises(VersionTakenError, match="/version") as caught:
        shelf.append(a_version(1, id="another", digest="other content"))

    assert caught.value.http_status == 409
    assert history.content(shelf.tx, shelf.vault, "r1")["document"] == {"version": 1}


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_session_never_changes_its_patient(shelf: Shelf, version: int) -> None:
    shelf.append(a_version(3))

    with pytest.raises(PatientChangedError, match="/patient/id"):
        shelf.append(a_version(version, patient_key="kanother"))

    assert shelf.states() == {3: "current"}


def test_a_retraction_that_came_first_and_named_nobody_takes_no_patient(shelf: Shelf) -> None:
    shelf.append(a_version(2, patient_key="", subject="", in_error=True))

    late = shelf.append(a_version(1))
    corrected = shelf.append(a_version(3))

    assert (late.state, corrected.state) == ("older", "current")
    with pytest.raises(PatientChangedError):
        shelf.append(a_version(4, patient_key="kanother"))


def test_another_session_may_be_of_another_patient(shelf: Shelf) -> None:
    shelf.append(a_version(1))

    other = shelf.append(a_version(1, id="o1", session_key="kother", patient_key="kanother"))

    assert other.state == "current"


def test_the_patient_of_an_unknown_session_is_unknown(shelf: Shelf) -> None:
    assert history.patient_of(shelf.tx, "ksession") == ("", "")


@pytest.mark.parametrize(
    "last",
    [
        a_version(2),
        a_version(2, subject="", translation="held"),
        a_version(2, subject="", in_error=True),
    ],
    ids=["translated", "held", "in error"],
)
def test_a_session_knows_its_patient_also_from_earlier_versions(
    shelf: Shelf, last: NewVersion
) -> None:
    shelf.append(a_version(1))
    shelf.append(last)

    assert history.patient_of(shelf.tx, "ksession") == ("kpatient", "kpatientid")


def test_a_session_of_which_nothing_could_be_translated_still_knows_whose_it_is(
    shelf: Shelf,
) -> None:
    shelf.append(a_version(1, patient_key="", subject="", in_error=True))
    shelf.append(a_version(2, subject="", translation="held"))

    assert history.patient_of(shelf.tx, "ksession") == ("kpatient", "")


def test_what_tells_of_the_visit_is_the_newest_version_that_is_no_retraction(
    shelf: Shelf,
) -> None:
    assert history.last_whole(shelf.tx, "ksession") == ""
    for version in (1, 2):
        shelf.append(a_version(version))
    shelf.append(a_version(3, in_error=True))

    assert history.last_whole(shelf.tx, "ksession") == "r2"


def test_content_is_given_back_as_it_was_stored_and_lies_there_sealed(shelf: Shelf) -> None:
    content = {"document": {"family": "Synthetic-Canary"}, "findings": [], "problems": []}

    shelf.append(a_version(1, content=content))

    assert history.content(shelf.tx, shelf.vault, "r1") == content
    assert b"Canary" not in (shelf.tx.scalar(select(record.c.sealed)) or b"")


def test_the_content_of_nothing_is_an_error(shelf: Shelf) -> None:
    with pytest.raises(LookupError):
        history.content(shelf.tx, shelf.vault, "r1")
    assert history.find(shelf.tx, "r1") is None


def test_only_current_versions_that_another_set_could_not_translate_are_tried_again(
    shelf: Shelf,
) -> None:
    held = {"translation": "held", "set_digest": "set 1"}
    shelf.append(a_version(1, **held))
    shelf.append(a_version(2, **held))
    shelf.append(a_version(1, id="o1", session_key="kother", received_at=EARLIER, **held))
    shelf.append(a_version(1, id="d1", session_key="kdone"))

    assert [row.id for row in history.held_for_translation(shelf.tx, "set 2")] == ["o1", "r2"]
    assert history.held_for_translation(shelf.tx, "set 1") == []


def test_a_translation_that_went_through_changes_the_outcome_and_nothing_else(
    shelf: Shelf,
) -> None:
    shelf.append(a_version(1, translation="held", subject=""))
    before = history.find(shelf.tx, "r1")
    content = {"document": {"version": 1}, "findings": [], "problems": ["none left"]}

    history.replace_content(
        shelf.tx,
        shelf.vault,
        "r1",
        translation="done",
        set_digest="set 2",
        subject="kpatientid",
        content=content,
    )

    after = history.find(shelf.tx, "r1")
    assert before is not None
    assert after is not None
    changed = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
    assert changed == {"translation", "set_digest", "subject", "sealed"}
    assert history.content(shelf.tx, shelf.vault, "r1") == content


def test_refused_bytes_lie_sealed_under_a_key_of_their_own(shelf: Shelf) -> None:
    shelf.put_aside("q1")

    row = shelf.tx.execute(select(quarantine)).one()
    key = shelf.vault.key(shelf.tx, "q1")
    assert b"Canary" not in row.sealed
    assert b"Canary" in shelf.vault.unseal(key, row.sealed, "quarantine:q1")
    assert history.quarantined(shelf.tx) == 1


@pytest.mark.parametrize(
    ("now", "left"), [(EARLIER, ["q1", "q2"]), (NOW, ["q2"]), (LATER, []), ("2027", [])]
)
def test_quarantine_ends_at_its_expiry(shelf: Shelf, now: str, left: list[str]) -> None:
    shelf.put_aside("q1", at=EARLIER, expires_at=NOW)
    shelf.put_aside("q2", at=NOW, expires_at=LATER)

    gone = shelf.expire(now=now)

    assert gone == 2 - len(left)
    assert shelf.set_aside() == left


def test_quarantine_keeps_the_newest_of_too_many(shelf: Shelf) -> None:
    for name, at in (("q1", NOW), ("q2", EARLIER), ("q3", NOW), ("q4", EARLIER)):
        shelf.put_aside(name, at=at)

    assert shelf.expire(keep=2) == 2
    assert shelf.set_aside() == ["q1", "q3"]


def test_what_left_quarantine_can_never_be_read_again(shelf: Shelf) -> None:
    shelf.put_aside("q1", expires_at=EARLIER)
    sealed = shelf.tx.scalar(select(quarantine.c.sealed))

    shelf.expire()

    with pytest.raises(ShreddedError):
        shelf.vault.key(shelf.tx, "q1")
    key = shelf.tx.execute(select(payload_key)).one()
    assert (key.owner, key.wrapped, key.shredded_at) == ("q1", None, NOW)
    assert sealed is not None
