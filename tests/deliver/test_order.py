"""What goes together, what goes first, what waits for what was refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.deliver import order
from fhirbridge.deliver.bundle import Send
from fhirbridge.outbox.contents import Identity
from tests.deliver.sends import a_send


def to(*names: str) -> list[dict[str, str]]:
    return [{"reference": f"Observation/{name}"} for name in names]


def observations(**named: str) -> list[Send]:
    """One send for each name, with references to the names after it, separated by blanks."""
    return [
        a_send(identity=("Observation", name), position=number, hasMember=to(*targets.split()))
        for number, (name, targets) in enumerate(named.items())
    ]


def names(units: tuple[order.Unit, ...]) -> list[str]:
    return ["+".join(send.identity.id for send in unit) for unit in units]


@pytest.mark.parametrize(
    ("sends", "expected"),
    [
        (observations(), []),
        (observations(a=""), ["a"]),
        (observations(a="", b=""), ["a", "b"]),
        (observations(a="b", b=""), ["b", "a"]),
        (observations(a="b", b="c", c=""), ["c", "b", "a"]),
        (observations(a="elsewhere"), ["a"]),
        (observations(a="a"), ["a"]),
        (observations(a="b", b="a"), ["a+b"]),
        (observations(a="b c", b="", c="b"), ["b", "c", "a"]),
        (observations(a="b", b="c", c="b", d="a"), ["b+c", "a", "d"]),
        (observations(a="b", b="c", c="a", d=""), ["a+b+c", "d"]),
    ],
)
def test_what_is_pointed_to_goes_first_and_circles_go_together(
    sends: list[Send], expected: list[str]
) -> None:
    assert names(order.units(sends)) == expected


@given(st.lists(st.lists(st.integers(0, 11), max_size=3), max_size=12))
def test_every_one_is_in_one_unit_and_points_to_none_after_it(links: list[list[int]]) -> None:
    sends = observations(
        **{f"o{n}": " ".join(f"o{one}" for one in found) for n, found in enumerate(links)}
    )

    found = order.units(sends)

    place = {send.identity: n for n, unit in enumerate(found) for send in unit}
    assert sorted(send.position for unit in found for send in unit) == list(range(len(sends)))
    for send in sends:
        for target in send.body["hasMember"]:
            other = Identity(*target["reference"].split("/"))
            assert place.get(other, -1) <= place[send.identity]


DOSE = {"reference": "MedicationAdministration/d"}


@pytest.mark.parametrize(
    ("kind", "body", "is_event"),
    [
        ("Observation", {"partOf": [DOSE]}, True),
        ("AdverseEvent", {"suspectEntity": [{"instance": DOSE}]}, True),
        ("Observation", {"partOf": [{"reference": "Procedure/d"}]}, False),
        ("Observation", {"focus": [DOSE]}, False),
        ("MedicationAdministration", {"partOf": [DOSE]}, False),
        ("Provenance", {"target": [DOSE]}, False),
        ("Observation", {"partOf": "not a list"}, False),
    ],
)
def test_a_dose_goes_together_with_what_went_wrong_with_it(
    kind: str, body: dict[str, Any], *, is_event: bool
) -> None:
    sends = [
        a_send(identity=("MedicationAdministration", "d"), position=0),
        a_send(identity=(kind, "e"), position=1, **body),
    ]

    assert names(order.units(sends)) == (["d+e"] if is_event else ["d", "e"])


@pytest.mark.parametrize(
    ("refused", "going", "blocked"),
    [
        ((), ["c", "b", "a", "d"], {}),
        ((2,), ["d"], {1: "c", 0: "c"}),
        ((1,), ["c", "d"], {0: "b"}),
        ((0,), ["c", "b", "d"], {}),
        ((1, 2), ["d"], {0: "b"}),
        ((0, 1, 2, 3), [], {}),
    ],
)
def test_what_points_to_a_refused_one_however_far_waits_for_it(
    refused: tuple[int, ...], going: list[str], blocked: dict[int, str]
) -> None:
    found = order.ready(order.units(observations(a="b", b="c", c="", d="")), refused)

    assert names(found.units) == going
    assert {place: cause.id for place, cause in found.blocked.items()} == blocked


def test_the_rest_of_a_unit_waits_for_its_refused_one() -> None:
    found = order.ready(order.units(observations(a="b", b="a")), [1])

    assert found.units == ()
    assert found.blocked == {0: Identity("Observation", "b")}


@pytest.mark.parametrize(
    ("entries", "size", "taken"),
    [(1, 10**6, 1), (2, 10**6, 2), (99, 10**6, 3), (99, 1, 1), (99, 110, 2), (0, 0, 1)],
)
def test_whole_units_are_taken_while_they_fit_and_always_one(
    entries: int, size: int, taken: int
) -> None:
    units = order.units(observations(a="", b="", c=""))

    assert len(order.first(units, most_entries=entries, most_bytes=size)) == taken


def test_a_unit_is_never_cut() -> None:
    units = order.units(observations(a="b", b="a", c=""))

    assert names(order.first(units, most_entries=1, most_bytes=1)) == ["a+b"]


@pytest.mark.parametrize(
    ("sends", "going"),
    [
        (observations(), []),
        (observations(a="b", b=""), ["b"]),
        (observations(a="b", b="", c=""), ["b", "c"]),
        (observations(a="b c", b="", c="b"), ["b"]),
        (observations(a="a"), ["a"]),
        (observations(a="b", b="a", c="a"), ["a"]),
    ],
)
def test_apart_goes_only_what_points_to_nothing_unsent(sends: list[Send], going: list[str]) -> None:
    found = order.apart(order.units(sends))

    assert names(found) == going


@given(st.lists(st.lists(st.integers(0, 11), max_size=3), max_size=12))
def test_apart_all_go_in_the_end(links: list[list[int]]) -> None:
    left = observations(
        **{f"o{n}": " ".join(f"o{one}" for one in found) for n, found in enumerate(links)}
    )

    for _ in links:
        going = {send.position for unit in order.apart(order.units(left)) for send in unit}
        assert going or not left
        left = [send for send in left if send.position not in going]

    assert left == []


def test_a_dose_goes_apart_once_its_event_can_follow_and_the_event_is_next() -> None:
    dose = a_send(identity=("MedicationAdministration", "d"), position=0)
    finding = a_send(identity=("Observation", "f"), position=1)
    event = a_send(
        identity=("AdverseEvent", "e"),
        position=2,
        suspectEntity=[{"instance": DOSE}],
        resultingCondition=[{"reference": "Observation/f"}],
    )
    other = a_send(identity=("Observation", "a"), position=3)

    assert names(order.apart(order.units([dose, finding, event, other]))) == ["f", "a"]
    assert names(order.apart(order.units([dose, event, other]))) == ["d", "a"]
    assert names(order.apart(order.units([other, event]))) == ["e", "a"]
