"""A small record schema and a small mapping set: enough to show each rule of the engine."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from fhirbridge.records.source import Kind, SourceField
from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.documents.templates import Documents
from fhirbridge.translate.expressions.compiled import Names, Slots, World
from fhirbridge.translate.expressions.compiler import compile_text
from fhirbridge.translate.faults import Fault, FaultError, MappingError, Place
from fhirbridge.translate.frame import Frame, places_in
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.source_types import tables_of, type_of
from fhirbridge.translate.tables.code_table import CodeTable
from fhirbridge.translate.tables.unit_table import UnitTable
from fhirbridge.translate.values import Site, Translation

SITE = Site(host="clinic.example.org", tenant="clinic-1", key=b"synthetic key, 32 bytes long....")
AT = Place(file="mappings/x.yaml")


def a_field(kind: Kind, values: tuple[str, ...] = (), table: str = "") -> SourceField:
    return SourceField(kind=kind, values=values, table=table)


def an_object(fields: Mapping[str, SourceField], table: str = "") -> SourceField:
    return SourceField(kind="object", fields=fields, table=table)


def a_list(item: SourceField) -> SourceField:
    return SourceField(kind="list", item=item)


TEXT, NUMBER, WHOLE = a_field("string"), a_field("decimal"), a_field("integer")
FLAG, DAY, MOMENT = a_field("boolean"), a_field("date"), a_field("dateTime")
MEASURE = an_object({"value": NUMBER, "unit": TEXT})
WAY = an_object(
    {
        "key": a_field("string", ("vein", "nose"), "way"),
        "system": TEXT,
        "code": TEXT,
        "display": TEXT,
        "text": TEXT,
    },
    table="way",
)
ROW = an_object(
    {
        "id": TEXT,
        "time": MOMENT,
        "end": MOMENT,
        "kind": a_field("string", ("before", "after")),
        "state": a_field("string", ("final", "amended", "planned")),
        "weight": MEASURE,
        "way": WAY,
        "note": TEXT,
        "score": WHOLE,
        "tags": a_list(TEXT),
        "checked": FLAG,
        "steps": a_list(an_object({"id": TEXT, "text": TEXT, "rate": MEASURE})),
    }
)
SOURCE = an_object(
    {
        "session_id": TEXT,
        "recorded_at": MOMENT,
        "status": a_field("string", ("active", "entered-in-error")),
        "patient": an_object(
            {
                "id": TEXT,
                "family": TEXT,
                "given": a_list(TEXT),
                "birth_date": a_field("partialDate"),
                "gender": a_field("string", ("female", "male", "unknown")),
            }
        ),
        "visit": an_object({"start": MOMENT, "end": MOMENT, "room": TEXT, "day": DAY}),
        "rows": a_list(ROW),
    }
)

FILES: Mapping[str, str] = {
    "fhirbridge.yaml": "format: 1\nfhir: 4.0.1\n",
    "codes.yaml": """\
systems:
  loinc:
    url: http://loinc.org
    license: LOINC licence
    codes:
      "29463-7": {display: Body weight, source: test}
      "8302-2": {display: Body height, source: test}
  snomed:
    url: http://snomed.info/sct
    codes:
      "47625008": {display: Intravenous route, source: test}
      "46713006": {display: Nasal route, source: test}
  status:
    url: http://hl7.org/fhir/observation-status
    codes:
      final: {display: Final, source: test}
  ucum:
    url: http://unitsofmeasure.org
""",
    "units.yaml": """\
units:
  kg: {code: kg, display: kg, dimension: mass}
  g: {code: g, display: g, dimension: mass}
  lb: {code: "[lb_av]", display: lb, dimension: mass, note: the pound}
  spray: {code: "{spray}", dimension: count}
""",
    "conceptmaps/way.yaml": """\
url: https://{site}/ConceptMap/way
version: 1.0.0
source: {table: way}
target: snomed
unmapped: error
rows:
  - [vein, 47625008, equivalent]
  - {key: nose, codings: [46713006], equivalence: wider, text: By nose}
""",
    "fragments/piece.yaml": """\
fragment: piece
parameters: [code, value]
content:
  code: = $code
  valueQuantity: = quantity($value)
""",
    "documents/note.html": """\
<div xmlns="http://www.w3.org/1999/xhtml">
{% for row in rows %}
<p>{{ row.note }} {{ row.weight | measure }} {{ row.way | coded('way') }}</p>
{% endfor %}
</div>
""",
    "resources/person.yaml": """\
mapping: person
version: 1.0.0
target: Patient
scope: patient
key: [patient.id]
owner: nobody
reviewed: not signed off
resource:
  text: {status: generated, div: = xhtml('note')}
  name:
    - family: = patient.family
      given: = patient.given
  gender: = patient.gender
  birthDate: = patient.birth_date
""",
    "resources/weight.yaml": """\
mapping: weight
version: 1.0.0
target: Observation
scope: visit
each: rows as r
when: r.weight.exists()
as_of: r.time
key: [session_id, r.id]
let:
  shown: r.note & '!'
requires:
  - {check: r.weight.value > 0, message: the weight is not positive}
owner: nobody
reviewed: not signed off
resource:
  status: final
  code: loinc#29463-7
  subject: = ref(Patient, patient.id)
  effectiveDateTime: = r.time
  valueQuantity: = quantity(r.weight)
  method: = translate('way', r.way)
  component:
    - $use: piece
      with: {code: loinc#8302-2, value: = r.weight}
  note:
    $for: r.steps as step
    $item:
      text: = step.text
      $if: step.text.exists()
  device: {display: = shown}
""",
}

RECORD: dict[str, Any] = {
    "session_id": "ses-1",
    "recorded_at": "2026-03-02T11:45:00-05:00",
    "status": "active",
    "patient": {
        "id": "pt-1",
        "family": "Synthetic",
        "given": ["Testa", "Maria"],
        "birth_date": "1984",
        "gender": "female",
    },
    "visit": {"start": "2026-03-02T09:00:00-05:00"},
    "rows": [
        {
            "id": "r-1",
            "time": "2026-03-02T09:10:00-05:00",
            "kind": "before",
            "weight": {"value": Decimal("72.50"), "unit": "kg"},
            "way": {"key": "vein"},
            "note": "calm",
            "score": 3,
            "tags": ["a", "b"],
            "checked": True,
            "steps": [{"id": "s-1", "text": "first"}, {"id": "s-2"}],
        },
        {"id": "r-2", "time": "2026-03-02T10:10:00-05:00", "kind": "after", "score": 4},
    ],
}


def with_files(**changes: str) -> dict[str, str]:
    """The small set with files replaced: `resources__weight` is resources/weight.yaml."""
    return dict(FILES) | {_path(name): text for name, text in changes.items()}


def changed(file: str, old: str, new: str) -> dict[str, str]:
    """The small set with one text of one file replaced."""
    assert old in FILES[file], f"{old!r} is not in {file}"
    return dict(FILES) | {file: FILES[file].replace(old, new, 1)}


def _path(name: str) -> str:
    folder, _, rest = name.partition("__")
    return f"{folder}/{rest}.yaml" if rest else f"{folder}.yaml"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a set to `folder`/mappings and return that folder."""
    root = folder / "mappings"
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def load(folder: Path, files: Mapping[str, str] = FILES) -> MappingSet:
    return mapping_set.load(write(folder, files), SOURCE)


def faults(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The mistakes of a set, as they are printed."""
    try:
        load(folder, files)
    except MappingError as error:
        return [str(fault) for fault in error.faults]
    return []


def translated(
    folder: Path, files: Mapping[str, str] = FILES, record: dict[str, Any] | None = None
) -> Translation:
    own = RECORD if record is None else record
    return engine.translate(own, mapping_set=load(folder, files), site=SITE)


EMPTY_WORLD = World(
    codes=CodeTable(systems={}),
    units=UnitTable(system="", units={}),
    maps={},
    documents=Documents(by_name={}),
    tables=tables_of(SOURCE),
    keyspaces={},
)


def evaluate(text: str, record: dict[str, Any] | None = None, source: SourceField = SOURCE) -> Any:
    """Compile and run one expression on a record."""
    slots = Slots()
    names = Names(record=type_of(source), slots=slots, per_delivery=False)
    made = compile_text(text, names, world=EMPTY_WORLD, place=AT)
    own = RECORD if record is None else record
    frame = Frame(
        record=own,
        site=SITE,
        run={"site": SITE.host, "tenant": SITE.tenant},
        places=places_in(own),
        slots=[None] * slots.count,
    )
    return made.run(frame)


def fault_of(text: str, source: SourceField = SOURCE) -> Fault:
    """The mistake in one expression."""
    names = Names(record=type_of(source), slots=Slots(), per_delivery=False)
    try:
        compile_text(text, names, world=EMPTY_WORLD, place=AT)
    except FaultError as error:
        return error.fault
    raise AssertionError(f"{text} has no mistake")
