"""Rules of R4 which tie elements together, for the types we write; each by its R4 name."""

from collections.abc import Callable, Mapping
from typing import Any

Object = Mapping[str, Any]
Rule = tuple[str, Callable[[Object], bool]]


def broken(type_name: str, value: Object) -> list[str]:
    """Name the rules of `type_name` (a resource or a data type) which `value` breaks."""
    return [f"breaks {sentence}" for sentence, kept in _RULES.get(type_name, ()) if not kept(value)]


def _has(value: Object, start: str) -> bool:
    """Is any choice of `start`[x] there? A primitive may be there by its extension alone."""
    return any(key.lstrip("_").startswith(start) for key in value)


def _codes(value: Any) -> set[str]:
    """List the codes of a CodeableConcept."""
    if not isinstance(value, Mapping):
        return set()
    return {
        coding["code"] for coding in _rows(value, "coding") if isinstance(coding.get("code"), str)
    }


def _rows(value: Object, name: str) -> list[Object]:
    rows = value.get(name)
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _coding_pairs(value: Any) -> set[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        return set()
    return {
        (row.get("system"), row.get("code")) for row in _rows(value, "coding") if row.get("code")
    }


def _dosage_has_dose_or_rate(dosage: Object) -> bool:
    return "dose" in dosage or "_dose" in dosage or _has(dosage, "rate")


def _value_or_reason(observation: Object) -> bool:
    return not ("dataAbsentReason" in observation and _has(observation, "value"))


def _no_component_repeats_the_code(observation: Object) -> bool:
    own = _coding_pairs(observation.get("code"))
    return not _has(observation, "value") or all(
        not own & _coding_pairs(part.get("code")) for part in _rows(observation, "component")
    )


def _reference_or_detail(activity: Object) -> bool:
    return not ("reference" in activity and "detail" in activity)


def _detail_has_measure(target: Object) -> bool:
    return not _has(target, "detail") or "measure" in target


def _abated_is_not_active(condition: Object) -> bool:
    ended = {"inactive", "resolved", "remission"}
    return not _has(condition, "abatement") or bool(ended & _codes(condition.get("clinicalStatus")))


def _error_has_no_clinical_status(condition: Object) -> bool:
    mistaken = "entered-in-error" in _codes(condition.get("verificationStatus"))
    return not (mistaken and "clinicalStatus" in condition)


def _value_xor_extensions(extension: Object) -> bool:
    return _has(extension, "value") != bool(extension.get("extension"))


def _unit_code_has_system(quantity: Object) -> bool:
    return "code" not in quantity or "system" in quantity


def _contained_is_referred_to(resource: Object) -> bool:
    ids = {row.get("id") for row in _rows(resource, "contained")}
    return ids <= {reference[1:] for reference in _local_references(resource)}


def _local_references(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        own = value.get("reference")
        found = {own} if isinstance(own, str) and own.startswith("#") else set()
        return found.union(*(_local_references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_local_references(item) for item in value))
    return set()


def _goes_with(name: str, needed: str) -> Callable[[Object], bool]:
    return lambda value: name not in value or needed in value


_REPEAT: tuple[Rule, ...] = (
    ("tim-1: a duration needs its unit", _goes_with("duration", "durationUnit")),
    ("tim-2: a period needs its unit", _goes_with("period", "periodUnit")),
    ("tim-6: a longest duration needs a duration", _goes_with("durationMax", "duration")),
    ("tim-7: a longest period needs a period", _goes_with("periodMax", "period")),
    ("tim-8: a highest count needs a count", _goes_with("countMax", "count")),
)
_QUANTITY: tuple[Rule, ...] = (("qty-3: a unit's code needs its system", _unit_code_has_system),)

_RULES: dict[str, tuple[Rule, ...]] = {
    "MedicationAdministration": (
        ("dom-3: a contained resource is referred to", _contained_is_referred_to),
    ),
    "MedicationAdministrationDosage": (
        ("mad-1: a dosage needs a dose or a rate", _dosage_has_dose_or_rate),
    ),
    "Observation": (
        ("obs-6: no reason for absence beside a value", _value_or_reason),
        ("obs-7: no value where a component has the same code", _no_component_repeats_the_code),
    ),
    "CarePlanActivity": (("cpl-3: a reference or a detail, not both", _reference_or_detail),),
    "GoalTarget": (("gol-1: a detail needs a measure", _detail_has_measure),),
    "Condition": (
        ("con-4: what abated is not active", _abated_is_not_active),
        ("con-5: what is in error has no clinical status", _error_has_no_clinical_status),
    ),
    "Extension": (("ext-1: a value or extensions, not both", _value_xor_extensions),),
    "TimingRepeat": _REPEAT,
    "Quantity": _QUANTITY,
    "Age": _QUANTITY,
    "Duration": _QUANTITY,
}
