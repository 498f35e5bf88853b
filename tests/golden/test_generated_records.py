"""Generated records of every kind: each is translated, soundly, steadily, to the digit.

A thousand here; `make prove` does ten thousand.
"""

from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from tests.golden import translating
from tests.prove import corpus, digits

RECORDS = 1_000
WEIGHTS = st.decimals(min_value=30, max_value=250, places=4).map(Decimal)


@pytest.mark.slow
def test_every_generated_record_is_translated_rightly() -> None:
    found = corpus.examine_all(RECORDS)

    assert found.wrong == []
    assert found.records == RECORDS
    assert found.numbers > 20 * RECORDS


def test_another_process_makes_the_same_bytes() -> None:
    numbers = range(len(corpus.KINDS))

    with ProcessPoolExecutor(1, mp_context=corpus.SPAWNED) as pool:
        there = pool.submit(corpus.examine, numbers).result()

    assert there.digest == corpus.examine(numbers).digest


@settings(max_examples=50)
@given(WEIGHTS, st.integers(0, 3))
def test_a_weight_reaches_the_ehr_as_the_bytes_that_were_sent(value: Decimal, zeros: int) -> None:
    written = f"{value}{'0' * zeros}"
    sent = translating.sample(translating.FIRST_VISIT)
    sent["vitals"][0]["weight"]["value"] = Decimal(written)

    found = translating.translate(sent)

    body = codec.encode(translating.only(found, "vital-weight"))
    assert f'"value":{written},'.encode() in body


# The proof is worth no more than what it would find.


def test_a_digit_that_is_lost_would_be_found() -> None:
    sent = translating.sample(translating.FIRST_VISIT)
    made = next(
        one for one in translating.translate(sent).resources if one.mapping == "vital-weight"
    )
    body = deepcopy(made.body)
    body["valueQuantity"]["value"] = Decimal("72.5")

    assert list(digits.lost(sent, made)) == []
    assert list(digits.lost(sent, replace(made, body=body))) == [
        "vital-weight: valueQuantity.value is not as written"
    ]


def test_a_wrong_conversion_would_be_found() -> None:
    sent = translating.sample(translating.FIRST_VISIT)
    sent["administrations"][0]["dose"] = {"value": Decimal(36250), "unit": "ug"}
    made = next(
        one
        for one in translating.translate(sent).resources
        if one.mapping == "medication-administration"
    )
    body = deepcopy(made.body)
    body["dosage"]["dose"]["value"] = Decimal("36.26")

    assert list(digits.lost(sent, made)) == []
    assert list(digits.lost(sent, replace(made, body=body))) == [
        "medication-administration: dosage.dose.value is not as written"
    ]


@pytest.mark.parametrize(("value", "longer"), [(Decimal("72.5"), "72.50"), (40, "40.0")])
def test_some_of_the_records_have_a_zero_more_in_each_measure(
    value: int | Decimal, longer: str
) -> None:
    changed = digits.with_another_zero([{"weight": {"value": value, "unit": "kg"}}])

    assert codec.encode(changed) == f'[{{"weight":{{"value":{longer},"unit":"kg"}}}}]'.encode()
