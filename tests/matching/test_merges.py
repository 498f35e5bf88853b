"""Who is left of patients that an EHR made one is certain, or nobody."""

from typing import Any

import pytest

from fhirbridge.matching import merges


def patient(*others: str, kind: str = "replaced-by") -> dict[str, Any]:
    links = [{"type": kind, "other": {"reference": other}} for other in others]
    active = not others or kind != "replaced-by"
    return {"resourceType": "Patient", "active": active, **({"link": links} if links else {})}


OUT_OF_USE = {"resourceType": "Patient", "active": False}
LONG = {f"Patient/{n}": patient(f"Patient/{n + 1}") for n in range(9)}


@pytest.mark.parametrize(
    ("chain", "left"),
    [
        ({"Patient/0": patient("Patient/b"), "Patient/b": patient()}, "Patient/b"),
        ({**LONG, "Patient/5": patient()}, "Patient/5"),  # five hops
        ({**LONG, "Patient/6": patient()}, ""),  # one too many
        ({"Patient/0": patient()}, "Patient/0"),  # nobody replaces it
        ({"Patient/0": patient("Patient/0")}, ""),
        ({"Patient/0": patient("Patient/1"), "Patient/1": patient("Patient/0")}, ""),
        ({"Patient/0": patient("Patient/1", "Patient/2"), "Patient/1": patient()}, ""),
        ({"Patient/0": patient("Patient/1", "Patient/1"), "Patient/1": patient()}, "Patient/1"),
        ({"Patient/0": patient("Patient/1")}, ""),  # the survivor could not be read
        ({}, ""),
        # The survivor alone says it; of one in use nobody can say that it is replaced.
        (
            {"Patient/0": OUT_OF_USE, "Patient/1": patient("Patient/0", kind="replaces")},
            "Patient/1",
        ),
        ({"Patient/0": patient(), "Patient/1": patient("Patient/0", kind="replaces")}, "Patient/0"),
        ({"Patient/0": OUT_OF_USE, "Patient/1": patient("Patient/0", kind="seealso")}, "Patient/0"),
    ],
)
def test_o23_who_is_left_of_merged_patients_is_certain_or_nobody(
    chain: dict[str, dict[str, Any]], left: str
) -> None:
    assert merges.survivor(chain, "Patient/0") == left
