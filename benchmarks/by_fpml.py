"""One mapping, vital-heart-rate, in the FHIRPath Mapping Language: the other yardstick.

fpml has no ids, references or tables of units: it is given them ready, so that it has less to do.
"""

from functools import cache
from typing import Any

import fhirpathpy
from fpml import resolve_template

Json = dict[str, Any]

MAPPING = "vital-heart-rate"
STATUS = "iif(%signed.state.exists() and %signed.state != 'preliminary', 'final', 'preliminary')"
TEMPLATE = {
    "resourceType": "Observation",
    "id": "{{ %own }}",
    "meta": {"profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-heart-rate"]},
    "identifier": [{"system": "https://{{ %site }}/id/vital-heart-rate", "value": "{{ %own }}"}],
    "status": f"{{{{ {STATUS} }}}}",
    "category": [{"coding": ["{{ %category }}"]}],
    "code": {"coding": ["{{ %code }}"]},
    "subject": {"reference": "{{ %patient }}"},
    "encounter": {"reference": "{{ %encounter }}"},
    "effectiveDateTime": "{{ time }}",
    "performer": [{"reference": "{{ %performer }}"}],
    "valueQuantity": {
        "value": "{{ heart_rate.value }}",
        "unit": "{{ %unit.unit }}",
        "system": "{{ %unit.system }}",
        "code": "{{ %unit.code }}",
    },
    "device": {"display": "{{ iif(heart_rate.device.exists(), heart_rate.device, device) }}"},
    "note": [{"text": "{{ 'Phase of the visit: ' & phase }}"}],
}


@cache
def compiled(expression: str) -> Any:
    """Return an expression compiled once, as fpml's own page proposes."""
    return fhirpathpy.compile(expression)


def evaluate(resource: Any, expression: str, context: Any) -> Any:
    """Evaluate without parsing again."""
    return compiled(expression)(resource, context)


def translate(row: Json, context: Json, *, parse_once: bool) -> Json:
    """Make one resource."""
    made: Json = resolve_template(row, TEMPLATE, context, evaluate=evaluate if parse_once else None)
    return made
