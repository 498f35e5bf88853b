"""What the values and directives of a skeleton make."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.translate.made import body_of, only
from tests.translate.small_set import SITE, changed, translated

PERSON = "resources/person.yaml"


@pytest.mark.parametrize(
    ("written", "made"),
    [
        (
            "note:\n  $for: rows as r\n  $item:\n    text: = r.note\n    $if: r.note.exists()",
            {"note": [{"text": "calm"}]},
        ),
        (
            """\
note:
  - text: first
  - $for: rows.where(note.exists()) as r
    $item: {text: = r.note}
  - text: last""",
            {"note": [{"text": "first"}, {"text": "calm"}, {"text": "last"}]},
        ),
        (
            """\
valueString:
  $switch:
    - $when: visit.room.exists()
      $then: = visit.room
    - $else: nowhere""",
            {"valueString": "nowhere"},
        ),
        (
            """\
interpretation:
  $switch:
    - $when: rows.count() = 2
      $then: [loinc#8302-2]
    - $else: []""",
            {
                "interpretation": [
                    {
                        "coding": [
                            {
                                "system": "http://loinc.org",
                                "code": "8302-2",
                                "display": "Body height",
                            }
                        ]
                    }
                ]
            },
        ),
        ("valueQuantity:\n  $if: visit.room.exists()\n  unit: kg", {}),
        ("valueString: 08", {"valueString": "08"}),
        ("valueString: NO", {"valueString": "NO"}),
        ("valueInteger: 12", {"valueInteger": 12}),
        ("valueBoolean: false", {"valueBoolean": False}),
        ("valueQuantity: {value: 12.50}", {"valueQuantity": {"value": Decimal("12.50")}}),
        ("valueString: = '=x'", {"valueString": "=x"}),
        ("note: [{text: = text_}]".replace("text_", "$run.site"), {"note": [{"text": SITE.host}]}),
        (
            "_effectiveDateTime:\n  extension:\n    - url: http://x\n      valueCode: status#final",
            {"_effectiveDateTime": {"extension": [{"url": "http://x", "valueCode": "final"}]}},
        ),
        (
            (
                "contained:\n  - resourceType: Medication\n    id: m\n    code: {text: x}\n"
                "partOf: [{reference: '#m'}]"
            ),
            {
                "contained": [{"resourceType": "Medication", "id": "m", "code": {"text": "x"}}],
                "partOf": [{"reference": "#m"}],
            },
        ),
        ("bodySite: = text(visit.room)", {}),
        ("bodySite: = text('arm')", {"bodySite": {"text": "arm"}}),
        (
            "hasMember: = ref(Observation, 'weight', session_id, rows.where(weight.exists()).id)",
            {
                "hasMember": [
                    {
                        "reference": "Observation/"
                        "kcrjh4jxel2w3htmvz4z6db7qgstmvfegzn5fjvtlepo2i7sp6ceq"
                    }
                ]
            },
        ),
        (
            "valueQuantity: = quantity(rows.first().weight, 'g')",
            {
                "valueQuantity": {
                    "value": Decimal(72500),
                    "unit": "g",
                    "system": "http://unitsofmeasure.org",
                    "code": "g",
                }
            },
        ),
    ],
)
def test_values_and_directives_make_what_they_say(
    tmp_path: Path, written: str, made: dict[str, Any]
) -> None:
    assert body_of(tmp_path, written) == made


def test_an_identifier_is_as_opaque_as_an_id(tmp_path: Path) -> None:
    files = changed(
        PERSON, "  gender:", "  identifier:\n    - = identifier('mrn', patient.id)\n  gender:"
    )

    own, given = only(translated(tmp_path, files), "person").body["identifier"]

    assert own["system"] == "https://clinic.example.org/id/person"
    assert given["system"] == "https://clinic.example.org/id/mrn"
    assert "pt-1" not in given["value"]
