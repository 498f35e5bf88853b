"""What the chart says of orders, of what went wrong and of how the patient left."""

from typing import Any

import pytest

from tests.golden.altered import Change, a_table, amount, notes, translated
from tests.golden.translating import Json, bodies, only

RESCUE = "dose-rescue-for-an-adverse-event"
BARE = "visit-ended-against-advice"


# Orders, by what was done


def dose(number: int, status: str, hour: int = 9) -> Json:
    return {
        "id": f"a-{number}", "role": "study-drug", "drug": {"key": "ketamine"},
        "route": {"key": "intravenous-bolus"}, "status": status, "order": "o-1",
        "start": f"2026-03-02T{hour:02}:30:00-05:00",
        "dose": amount("20", "mg"),
    }  # fmt: skip


def ordered(status: str | None, *doses: Json, visit: str = "completed") -> Change:
    def change(sent: Json) -> None:
        order = {"id": "o-1", "drug": {"key": "ketamine"}, "route": {"key": "intravenous-bolus"}}
        sent["orders"] = [order | ({"status": status} if status else {})]
        sent["administrations"] = list(doses)
        sent["visit"]["status"] = visit

    return change


@a_table(
    "order, status",
        (ordered(None, dose(1, "completed")), "completed"),
        (ordered(None, dose(1, "stopped")), "stopped"),
        (ordered(None, dose(1, "stopped"), dose(2, "completed", 10)), "completed"),
        (ordered(None, dose(1, "completed"), dose(2, "stopped", 10)), "stopped"),
        (ordered(None, dose(1, "not-done"), dose(2, "completed", 10)), "completed"),
        (ordered(None, dose(1, "completed"), dose(2, "not-done", 10)), "stopped"),
        (ordered(None, dose(1, "stopped"), dose(2, "not-done", 10)), "stopped"),
        (ordered(None, dose(1, "not-done")), "cancelled"),
        (ordered(None, dose(1, "not-done"), visit="cancelled"), "cancelled"),
        (ordered(None, dose(1, "completed"), visit="in-progress"), "completed"),
        (ordered("completed", dose(1, "completed")), "completed"),
        (ordered("stopped"), "stopped"),
        (ordered("cancelled"), "cancelled"),
        (ordered("cancelled", dose(1, "not-done")), "cancelled"),
        (ordered("cancelled", dose(1, "stopped")), "stopped"),
        (ordered("completed", dose(1, "stopped")), "completed"),
)  # fmt: skip
def test_an_order_that_is_over_says_how_it_ended(order: Change, status: str) -> None:
    found = translated(BARE, order)

    request = only(found, "medication-request")
    assert request["status"] == status
    for made in bodies(found, "medication-administration"):
        assert made["request"] == {"reference": f"MedicationRequest/{request['id']}"}


@a_table(
    "order",
        ordered(None),
        ordered("active", dose(1, "completed")),
        ordered(None, dose(1, "planned")),
        ordered(None, dose(1, "completed"), dose(2, "planned", 10)),
        ordered(None, dose(1, "completed"), dose(2, "in-progress", 10)),
        ordered(None, dose(1, "completed"), dose(2, "on-hold", 10)),
        ordered(None, dose(1, "completed"), dose(2, "unknown", 10)),
        ordered(None, dose(1, "not-done"), visit="in-progress"),
)  # fmt: skip
def test_an_order_that_is_not_known_to_be_over_is_not_sent(order: Change) -> None:
    found = translated(BARE, order)

    assert bodies(found, "medication-request") == []
    assert all("request" not in made for made in bodies(found, "medication-administration"))


# How the patient left


def left(period: Json, **visit: Any) -> Change:
    def change(sent: Json) -> None:
        for name in ("end", "disposition"):
            del sent["visit"][name]
        sent["visit"] |= {"status": "completed", **visit}
        sent["observation_period"] = {"id": "op-1", "start": "2026-03-02T10:10:00-05:00", **period}

    return change


AT, LATER = "2026-03-02T11:20:00-05:00", "2026-03-02T11:30:00-05:00"


@a_table(
    "change, watched, until, visit, visit_end",
        (left({"end": AT}), "completed", AT, "finished", None),
        (left({"discharged_at": AT}), "completed", AT, "finished", AT),
        (left({"end": AT, "discharged_at": LATER}), "completed", AT, "finished", LATER),
        (left({"discharged_at": AT}, end=LATER), "completed", AT, "finished", LATER),
        (left({"discharged_at": AT}, status="in-progress"), "completed", AT, "finished", AT),
        (left({"discharged_at": AT, "against_advice": True}), "stopped", AT, "finished", AT),
        (left({"end": AT, "against_advice": True}), "stopped", AT, "finished", None),
        (left({"against_advice": True}, status="in-progress"), "stopped", None, "finished", None),
        (left({}, disposition={"key": "against-advice"}, status="stopped-early"),
         "stopped", None, "finished", None),
        (left({}, status="in-progress"), "in-progress", None, "in-progress", None),
        (left({}), "in-progress", None, "finished", None),
)  # fmt: skip
def test_who_has_left_is_no_longer_watched(
    change: Change, watched: str, until: str | None, visit: str, visit_end: str | None
) -> None:
    found = translated(BARE, change)

    period, encounter = only(found, "observation-period"), only(found, "encounter")
    assert (period["status"], period["performedPeriod"].get("end")) == (watched, until)
    assert (encounter["status"], encounter["period"].get("end")) == (visit, visit_end)


# What went wrong, and what was given for it


def test_what_was_done_about_an_event_says_its_day() -> None:
    def later(sent: Json) -> None:
        sent["adverse_events"][0]["actions"][0]["time"] = "2026-03-03T00:10:00-05:00"
        sent["recorded_at"] = "2026-03-03T08:00:00-05:00"

    (text,) = notes(only(translated(RESCUE, later), "adverse-event"))

    assert text == ("Action: Drug given, Ondansetron, at 2026-03-03 00:10:00, by Synthetic-Berg")


def test_a_drug_for_an_adverse_event_names_the_event() -> None:
    found = translated(RESCUE)

    event = only(found, "adverse-event")
    infusion, rescue = bodies(found, "medication-administration")
    assert rescue["reasonReference"] == [{"reference": f"Observation/{event['id']}"}]
    assert "Given for: Nausea and vomiting" in notes(rescue)
    assert "reasonReference" not in infusion


@pytest.mark.parametrize("kind", ["stopped", "paused", "rate-reduced"])
def test_a_dose_that_was_changed_for_an_event_was_not_given_for_it(kind: str) -> None:
    def change(sent: Json) -> None:
        act = {"id": "ac-1", "kind": kind, "administration": "a-1"}
        sent["adverse_events"][0]["actions"] = [act]

    for made in bodies(translated(RESCUE, change), "medication-administration"):
        assert "reasonReference" not in made


def test_an_event_suspected_of_a_dose_is_not_its_reason() -> None:
    def suspect(sent: Json) -> None:
        sent["adverse_events"][0]["suspected"] = ["a-1", "a-2"]

    _, rescue = bodies(translated(RESCUE, suspect), "medication-administration")

    assert "reasonReference" not in rescue


# Readings without a value


def test_a_reading_without_a_value_says_why() -> None:
    def lose(sent: Json) -> None:
        sent["labs"] = [
            {"id": "l-1", "kind": {"text": "Potassium"}, "time": AT, "status": "final",
             "value": {"absent_reason": "error"},
             "parts": [{"id": "p-1", "name": {"text": "Part"},
                        "value": {"absent_reason": "unsupported"}}]}
        ]  # fmt: skip
        sent["vitals"] = [
            {"id": "v-1", "time": AT, "o2_flow": {"absent_reason": "not-performed"},
             "fio2": {"absent_reason": "error"}}
        ]  # fmt: skip

    found = translated(BARE, lose)

    lab = only(found, "laboratory")
    assert lab["dataAbsentReason"]["coding"][0]["code"] == "error"
    assert lab["component"][0]["dataAbsentReason"]["coding"][0]["code"] == "unsupported"
    flow, share = only(found, "vital-oxygen-saturation")["component"]
    assert flow["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert share["dataAbsentReason"]["coding"][0]["code"] == "error"
