"""What became of one resource: every case of base, ours and theirs; and who is right."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from fhirbridge.reconcile import compare, weigh
from fhirbridge.reconcile.compare import FINDINGS, LOST, Kind, Ours, Shown, Theirs
from fhirbridge.reconcile.weigh import Choice

AT = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def body(rate: int, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o1", "status": "final", "rate": rate, **more}


def there(version: str, rate: int, *, after: int = 0, **more: Any) -> Theirs:
    updated = AT + timedelta(minutes=after)
    return Theirs(shown=Shown.THERE, version=version, updated=updated, body=body(rate, **more))


def ours(version: str = "3", **more: Any) -> Ours:
    known = {"earlier": (body(60), body(70)), "later": (body(90),), "written_by": AT}
    return Ours(base=body(80), version=version, **{**known, **more})


ABSENT, UNSAID = Theirs(shown=Shown.ABSENT), Theirs(shown=Shown.UNSAID)


@pytest.mark.parametrize(
    ("mine", "theirs", "kind", "elements"),
    [
        (ours(), there("3", 80), Kind.EQUAL, ()),
        (ours(), there("7", 80), Kind.EQUAL, ()),  # edited and put back
        (ours(), there("1", 80), Kind.EQUAL, ()),  # restored, numbers used again
        (ours(), there("3", 80, text={"div": "<div/>"}), Kind.EQUAL, ()),
        (ours(), there("4", 90), Kind.AHEAD, ()),
        (ours(), there("2", 70), Kind.OLDER, ("rate",)),
        (ours(), there("1", 60), Kind.OLDER, ("rate",)),
        (ours(), there("4", 70), Kind.EDITED, ("rate",)),  # somebody went back to it
        (ours("a"), there("b", 70), Kind.EDITED, ("rate",)),  # numbers that cannot be compared
        (ours(), there("4", 81), Kind.EDITED, ("rate",)),
        (ours(), there("4", 80, note="x"), Kind.EDITED, ("note",)),
        (ours(), there("2", 81), Kind.EDITED, ("rate",)),
        (ours(), there("3", 81), Kind.ALTERED, ("rate",)),  # as the server took our own write
        (ours(), there("3", 81, after=1), Kind.EDITED, ("rate",)),  # restored, then edited
        (ours(written_by=None), there("3", 81), Kind.EDITED, ("rate",)),
        (ours(given_up=True), there("3", 81), Kind.AWAITED, ()),
        (ours(given_up=True), there("4", 81), Kind.EDITED, ("rate",)),
        (ours(given_up=True), there("3", 80), Kind.EQUAL, ()),
        (ours(), ABSENT, Kind.MISSING, ()),
        (ours(given_up=True), ABSENT, Kind.MISSING, ()),
        (ours(), Theirs(shown=Shown.REMOVED), Kind.DELETED, ()),
        (ours(), Theirs(shown=Shown.REMOVED, version="4"), Kind.DELETED, ()),
        (ours(given_up=True), Theirs(shown=Shown.REMOVED, version="3"), Kind.AWAITED, ()),
        (ours(given_up=True), Theirs(shown=Shown.REMOVED, version="4"), Kind.DELETED, ()),
        (ours(), UNSAID, Kind.UNSAID, ()),
        (ours(), Theirs(shown=Shown.THERE, version="3"), Kind.UNSAID, ()),
    ],
)
def test_each_case_has_its_name(
    mine: Ours, theirs: Theirs, kind: Kind, elements: tuple[str, ...]
) -> None:
    said = compare.verdict(mine, theirs)

    assert (said.kind, said.elements) == (kind, elements)


def patient(*others: str, kind: str = "replaced-by") -> dict[str, Any]:
    links = [{"type": kind, "other": {"reference": other}} for other in others]
    active = not others or kind != "replaced-by"
    return {"resourceType": "Patient", "active": active, **({"link": links} if links else {})}


@pytest.mark.parametrize(
    ("link", "kind"),
    [("replaced-by", Kind.MERGED), ("seealso", Kind.EDITED), ("replaces", Kind.EDITED)],
)
def test_a_patient_who_was_replaced_is_merged_and_one_who_replaces_is_not(
    link: str, kind: Kind
) -> None:
    theirs = Theirs(shown=Shown.THERE, version="2", body=patient("Patient/b", kind=link))

    assert compare.verdict(Ours(base=patient(), version="1"), theirs).kind is kind


@pytest.mark.parametrize(
    ("before", "now", "kind"),
    [
        (True, False, Kind.MERGED),
        (None, False, Kind.MERGED),
        (False, False, Kind.EDITED),
        (False, True, Kind.EDITED),
    ],
)
def test_a_patient_who_was_put_out_of_use_is_as_a_merged_one(
    *, before: bool | None, now: bool, kind: Kind
) -> None:
    named = {**patient(), "active": now, "language": "en"}
    ours = {**patient(), "active": before} if before is not None else {"resourceType": "Patient"}

    said = compare.verdict(
        Ours(base=ours, version="1"), Theirs(shown=Shown.THERE, version="2", body=named)
    )

    assert said.kind is kind


@pytest.mark.parametrize(
    ("kind", "policies", "choice"),
    [
        *((kind, {"*": "theirs"}, Choice.OURS) for kind in sorted(LOST)),
        (Kind.EDITED, {}, Choice.HOLD),
        (Kind.DELETED, {}, Choice.HOLD),
        (Kind.EDITED, {"*": "theirs"}, Choice.THEIRS),
        (Kind.EDITED, {"*": "theirs", "Observation": "ours"}, Choice.OURS),
        (Kind.DELETED, {"Observation": "theirs"}, Choice.THEIRS),
        (Kind.EDITED, {"Patient": "ours"}, Choice.HOLD),
        (Kind.MERGED, {"*": "ours"}, Choice.HOLD),
        (Kind.DUPLICATED, {"*": "ours"}, Choice.HOLD),
        (Kind.LEFT, {"*": "ours"}, Choice.HOLD),
    ],
)
def test_what_is_lost_comes_back_and_the_rest_is_for_a_policy_or_a_person(
    kind: Kind, policies: dict[str, str], choice: Choice
) -> None:
    assert weigh.choice(kind, "Observation", policies) is choice


@pytest.mark.parametrize(
    ("lost", "compared", "restored"),
    [
        (0, 0, False),
        (1, 5, False),
        (1, 4, True),
        (200, 1000, False),
        (201, 100_000, True),
        (20, 100, False),
        (21, 100, True),
    ],
)
def test_more_than_a_fifth_or_two_hundred_looks_like_a_restored_database(
    lost: int, compared: int, *, restored: bool
) -> None:
    assert weigh.looks_restored(lost, compared) is restored


def test_a_person_may_choose_either_side_but_for_what_ours_cannot_undo() -> None:
    allowed = {
        (kind.value, choice.value)
        for kind, choice in product(FINDINGS, Choice)
        if weigh.may_settle(kind, choice)
    }

    both = {"deleted", "edited", "missing", "older"}
    assert allowed == {(kind, side) for kind in both for side in ("ours", "theirs")} | {
        ("duplicated", "theirs"),
        ("left", "theirs"),
        ("merged", "ours"),
    }
