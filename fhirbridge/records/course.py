"""The rest of a synthetic course: consultation, background, events, discharge, plan."""

from fhirbridge.records import vocabulary
from fhirbridge.records.invention import Part, Scene, amount

EXPECTED = ("dissociation", "nausea", "dizziness", "headache", "transient-hypertension", "sedation",
            "anxiety", "vertigo", "blurred-vision", "numbness")  # fmt: skip
REACTIONS: tuple[Part, ...] = ({"text": "Rash"}, {"key": "vomiting"})
PARTS: tuple[Part, ...] = ({"text": "Pale"}, {"key": "drowsiness"})
ASLEEP: tuple[Part, ...] = ({"text": "Patient asleep"}, {"key": "clinical-decision"})
JUDGED = ("none", "mild", "moderate", "severe")
TIMES: dict[str, Part] = {
    "induction": {"times": 2, "times_max": 3, "per": 1, "unit": "wk"},
    "taper": {"times": 1, "per": 1, "per_max": 2, "unit": "wk"},
    "maintenance": {"times": 1, "per": 2, "per_max": 6, "unit": "wk"},
}


def consultation(at: Scene) -> Part:
    dice = at.dice
    wanted = vocabulary.read("bounds.json")["screen"]["items"]
    answers = ("no", "no", "no", "not-applicable", "not-checked", "unknown")
    screen: list[Part] = [
        {"id": f"sc-{number}", "item": {"key": key}, "answer": dice.pick(answers),
         "how": dice.pick(("stated", "record", "examined")), "as_of": at.at(3), "note": "Asked"}
        for number, key in enumerate(wanted, start=1)
    ]  # fmt: skip
    screen.append({"id": "sc-own", "item": {"text": "Porphyria"}, "answer": "no"})
    return {
        "presenting": [
            {"id": "ps-1", "symptom": {"text": "Low mood"}, "since": "2025-03",
             "severity": {"key": dice.pick(vocabulary.keys("severity"))}, "note": "Worse at dawn"}
        ],
        "mental_health_history": [
            {"id": "mh-1", "kind": "hospital-stay", "what": {"key": "major-depressive-disorder"},
             "date": "2021-11", "text": "Nine days", "note": "Voluntary"}
        ],
        "prior_treatments": _tried(at),
        "screened_at": at.at(3),
        "screened_by": "st-consulting",
        "screen": screen,
        "suitability": {
            "decision": dice.pick(("suitable", "with-precautions")), "by": "st-consulting",
            "at": at.at(20), "why": "Two adequate failures", "precautions": "Urinalysis monthly",
        },
        "goals": [goal(at)],
    }  # fmt: skip


def _tried(at: Scene) -> list[Part]:
    dice = at.dice
    names = ("sertraline", "venlafaxine", "bupropion", "lithium")
    rows: list[Part] = [
        {"id": f"pt-{number}", "kind": "medication", "drug": {"text": name},
         "dose": amount(dice.whole(25, 300), "mg/d"), "weeks": dice.whole(6, 20),
         "adequate": True, "outcome": dice.pick(("no-response", "partial-response")),
         "start": "2022-01", "end": "2022-08", "why_stopped": "No effect", "note": "Taken daily"}
        for number, name in enumerate(names[: dice.whole(2, 4)], start=1)
    ]  # fmt: skip
    return [
        *rows,
        {"id": "pt-before", "kind": "ketamine", "drug": {"key": "ketamine"},
         "sessions": dice.whole(2, 8), "outcome": "response", "start": "2024-03"},
        {"id": "pt-ect", "kind": "ect", "sessions": dice.whole(6, 12), "outcome": "intolerance"},
        {"id": "pt-talk", "kind": "psychotherapy", "name": "Cognitive behavioural therapy",
         "sessions": dice.whole(8, 40), "outcome": "response"},
    ]  # fmt: skip


def goal(at: Scene) -> Part:
    return {
        "id": "g-1",
        "description": "PHQ-9 total below 10",
        "measure": {"key": "phq-9"},
        "target": {"comparator": "<", "value": 10, "unit": "points"},
        "start": at.day(0),
        "due": at.day(60),
        "status": "active",
        "achievement": {"key": at.dice.pick(vocabulary.keys("goal-achievement"))},
        "addresses": ["c-1"],
    }


def medications(at: Scene) -> list[Part]:
    dice = at.dice
    names = {"lorazepam": "benzodiazepine", "phenelzine": "maoi", "methylphenidate": "stimulant"}
    name = dice.pick(tuple(names))
    drug = {"key": name} if name in vocabulary.keys("drug") else {"text": name}
    status = dice.pick(("active", "on-hold", "stopped"))
    return [
        {"id": "mc-1", "as_of": at.at(2), "drug": drug, "dose": amount(1, "mg"),
         "route": {"key": "oral"}, "frequency": "once a day", "as_needed": False,
         "status": status, "classes": [names[name]],
         "start": "2024-02", **({"end": "2025-12"} if status == "stopped" else {}),
         "last_taken": at.at(-900), "how": "stated",
         "reasons": ["c-2"], "note": "From the list that the patient brought"}
    ]  # fmt: skip


def allergies(at: Scene) -> list[Part]:
    dice = at.dice
    return [
        {"id": "al-1", "as_of": at.at(2), "kind": "allergy", "substance": {"text": "penicillin"},
         "reactions": [{"id": "re-1", "what": dict(dice.pick(REACTIONS)),
                        "severity": {"key": "mild"}}],
         "criticality": "low", "clinical_status": "active", "verification_status": "confirmed",
         "onset": "1999", "note": "As a child"},
        {"id": "al-2", "kind": "none-known", "substance": {"key": "ketamine"}},
    ]  # fmt: skip


def labs(at: Scene) -> list[Part]:
    dice = at.dice
    shared = {"time": at.at(4), "status": "final", "by": "st-monitoring"}
    return [
        {**shared, "id": "lb-1", "kind": {"key": "pregnancy-test"}, "specimen": "urine",
         "result": {"key": "negative"}},
        {**shared, "id": "lb-2", "kind": {"key": "liver-tests"}, "laboratory": "Synthetic Lab",
         "text": "See the lines", "note": "Drawn last week", "parts": [
             {"id": "lp-1", "name": {"text": "ALT"}, "value": amount(dice.whole(5, 60), "U/L"),
              "low": amount(0, "U/L"), "high": amount(41, "U/L"), "result": {"key": "normal"},
              "text": "Within range"}]},
        {**shared, "id": "lb-3", "kind": {"key": "fasting"}, "result": {"key": "yes"},
         "value": amount(dice.whole(4, 12), "h")},
        {**shared, "id": "lb-4", "kind": {"key": "urinalysis"}, "status": "not-done",
         "status_reason": {"key": "patient-refused"}},
    ]  # fmt: skip


def procedures(at: Scene) -> list[Part]:
    return [
        {"id": "pr-1", "kind": {"key": "line-placed"}, "what": "Cannula",
         "status": "completed",
         "start": at.at(10), "end": at.at(14), "performer": "st-administering",
         "site": {"key": "forearm"}, "reasons": ["c-1"], "outcome": "Runs well",
         "note": "First try"},
        {"id": "pr-2", "kind": {"key": "psychotherapy"}, "status": "not-done", "start": at.at(60),
         "status_reason": dict(at.dice.pick(ASLEEP))},
    ]  # fmt: skip


def sedation(at: Scene, minute: int) -> list[Part]:
    return [
        {"id": "sd-1", "status": "final", "instrument": {"key": "moaa-s"}, "time": at.at(minute),
         "value": at.dice.whole(2, 5), "text": "Answers when called",
         "observed_by": "st-monitoring",
         "resolved_at": at.at(minute + 30), "note": "Deepest"}
    ]  # fmt: skip


def dissociation(at: Scene, minute: int) -> list[Part]:
    parts = [at.dice.whole(0, most) for most in (20, 20, 8)]
    names = ("depersonalisation", "derealisation", "amnesia")
    return [
        {"id": "ds-1", "status": "final", "instrument": {"key": "cadss", "version": "23"},
         "time": at.at(minute), "total": sum(parts), "subscales": [
             {"id": f"su-{name}", "name": name, "value": value}
             for name, value in zip(names, parts, strict=True)],
         "judgement": JUDGED[min(3, (sum(parts) + 14) // 15)],
         "observed_by": "st-monitoring", "resolved_at": at.at(minute + 40), "note": "Calm"}
    ]  # fmt: skip


def adverse_events(at: Scene, minute: int, *, rate: str, rescue: str) -> list[Part]:
    dice = at.dice
    events = [key for key in vocabulary.keys("adverse-event") if key != "suicidal-thoughts"]
    event = dice.pick(EXPECTED if dice.happens(3, 4) else events)
    severity = dice.pick(vocabulary.keys("severity"))
    row: Part = {
        "id": "ae-1", "status": "final", "event": {"key": event},
        "parts": [{"id": "ap-1", "event": dict(dice.pick(PARTS))}],
        "onset": at.at(minute), "resolved": at.at(minute + 12),
        "severity": {"key": severity},
        "seriousness": "life-threatening" if severity == "severe" else "non-serious",
        "causality": dice.pick(vocabulary.keys("causality")),
        "suspected": ["a-1", rate] if rate else ["a-1"],
        "actions": [
            {"id": "ac-1", "kind": "watched", "time": at.at(minute), "by": "st-monitoring",
             "procedure": "pr-1", "note": "Stayed with the patient"},
            {"id": "ac-2", "kind": "drug-given", "time": at.at(minute + 2),
             "administration": rescue},
        ],
        "outcome": dice.pick(("resolved", "resolved", "resolved-with-sequelae")),
        "reported_by": "st-monitoring", "note": "Told the prescriber",
    }  # fmt: skip
    return [row, {"id": "ae-2", "event": {"text": "Felt as if made of glass"}}]


def observation(at: Scene, start: int, end: int) -> Part:
    return {
        "id": "op-1", "start": at.at(start), "end": at.at(end), "by": "st-monitoring",
        "minutes_required": end - start,
        "criteria": [
            {"id": f"cr-{key}", "criterion": {"key": key}, "met": True, "time": at.at(end),
             "text": "Seen", **value}
            for key, value in (
                ("pressure-acceptable", {"value": amount(120, "mmHg")}), ("alert-and-oriented", {})
            )
        ],
        "score": {"instrument": {"key": "aldrete"}, "total": at.dice.whole(9, 10),
                  "time": at.at(end)},
        "escort": {"present": True, "name": "Synthetic-Escort, Lu", "relation": "sibling"},
        "transport": "car, driven by the escort",
        "instructions": {"given": True, "understood": True, "text": "No driving until tomorrow"},
        "safety_plan": {"reviewed": True, "at": at.at(end - 5), "by": "st-consulting",
                        "text": "Call the clinic or 988"},
        "next_day_contact": {"due": at.at(end + 1440), "by": "st-monitoring", "way": "phone",
                             "note": "After ten"},
        "discharged_at": at.at(end), "discharged_by": "st-ordering", "against_advice": False,
        "note": "Walked unaided",
    }  # fmt: skip


def contacts(at: Scene) -> list[Part]:
    dice = at.dice
    return [
        {"id": "ct-1", "status": "final", "time": at.at(1), "by": "st-monitoring",
         "way": dice.pick(("phone", "video", "message", "portal", "app")),
         "with": dice.pick(("patient", "relative")), "reason": "Call of the day after",
         "summary": "Slept well", "outcome": dice.pick(("no-action", "advice", "referred")),
         "note": "Four minutes"}
    ]  # fmt: skip


def plan(at: Scene, session_id: str) -> Part:
    dice = at.dice
    kinds = vocabulary.keys("phase-kind")
    return {
        "id": "plan-1", "as_of": at.at(15), "status": dice.pick(("active", "on-hold", "completed")),
        "status_reason": "As agreed", "intent": "plan", "title": "Ketamine series",
        "series": "series-1", "start": at.day(0), "end": at.day(120), "conditions": ["c-1"],
        "phases": [_phase(at, number, kind) for number, kind in enumerate(kinds)],
        "goals": [goal(at) | {"id": "g-2"}],
        "visits": [
            {"id": "pv-1", "phase": "ph-induction", "number": 1, "kind": "treatment",
             "status": "done", "start": at.at(0), "end": at.at(150), "session_id": session_id,
             "ehr_appointment": "EHR-APT-1"},
            {"id": "pv-2", "phase": "ph-taper", "number": 2, "kind": "treatment", "why": "Holiday",
             "status": dice.pick(("proposed", "booked", "cancelled", "no-show")),
             "start": at.at(4320), "end": at.at(4470)},
        ],
        "authors": ["st-ordering"],
    }  # fmt: skip


def _phase(at: Scene, number: int, kind: str) -> Part:
    start = 28 * number
    row: Part = {
        "id": f"ph-{kind}", "kind": kind, "status_reason": "Follows", "note": "May change",
        "status": "in-progress" if number == 0 else "not-started",
        "start": at.day(start), "end": at.day(start + 27), "open_ended": False,
    }  # fmt: skip
    if kind == "stopped":
        return row
    row |= {
        "route": {"key": "intravenous-infusion"},
        "dose": {"low": 25, "high": 50, "options": [25, 50], "step": 25, "unit": "mg"},
        "dose_per_weight": {"low": 0, "high": 1, "options": [1], "step": 1, "unit": "mg/kg"},
        "duration": amount(40, "min"),
    }
    if kind in TIMES:
        days = [at.day(start), at.day(start + 3)]
        return row | {"frequency": dict(TIMES[kind]), "dates": days, "consecutive_days": 2}
    prn = {"as_needed_for": "Relapse", "as_needed_interval": amount(28, "d")}
    return row | {"as_needed": True, **prn}
