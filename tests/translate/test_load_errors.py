"""Each mistake that a mapping set can hold: its code, its place, and what it says."""

from pathlib import Path

import pytest

from fhirbridge.translate.faults import MappingError
from tests.translate.small_set import FILES, changed, faults, load, with_files

WEIGHT = "resources/weight.yaml"
PERSON = "resources/person.yaml"
PIECE = "fragments/piece.yaml"
WAY = "conceptmaps/way.yaml"
NOTE = "documents/note.html"


def test_the_small_set_has_no_mistake(tmp_path: Path) -> None:
    assert faults(tmp_path, FILES) == []


def mistake(file: str, old: str, new: str, found: str, message: str) -> object:
    """One text replaced by another; the code and place of what is found, and what it says."""
    code, _, at = found.partition(" ")
    fault = f"{code} mappings/{file}:{at} {message}"
    return pytest.param(file, old, new, fault, id=f"{code} {new[:50]!r}")


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        # YAML
        mistake(WEIGHT, "scope: visit", "scope: [visit", "E200 5:5",
                "not YAML that we take: expected ',' or ']', but got ':'"),
        mistake(WEIGHT, "scope: visit", "scope: visit\nscope: site", "E200 5:1",
                "'scope' is written twice"),
        mistake(WEIGHT, "owner: nobody", "owner: &o nobody", "E200 13:8",
                "anchors and tags are not taken"),
        mistake(WEIGHT, "owner: nobody", "owner: *o", "E200 13:8", "aliases are not taken"),
        mistake(WEIGHT, "owner: nobody", "owner: !!str nobody", "E200 13:8",
                "anchors and tags are not taken"),
        # the head
        mistake(WEIGHT, "mapping: weight", "mapping: wieght", "E206 1:10",
                "'mapping' must be the file's name, 'weight'"),
        mistake(WEIGHT, "version: 1.0.0", "version: 1.0", "E206 2:10",
                "'version' is like 1.0.0"),
        mistake(WEIGHT, "target: Observation", "target: Obserwation", "E206 3:9",
                "'target' is no resource type we make; did you mean 'Observation'?"),
        mistake(WEIGHT, "scope: visit", "scope: vist", "E206 4:8",
                "'scope' is one of visit, series, patient, site, delivery; did you mean 'visit'?"),
        mistake(WEIGHT, "owner: nobody", "ownr: nobody", "E206 13:1",
                "'ownr' means nothing here; did you mean 'owner'?"),
        mistake(WEIGHT, "key: [session_id, r.id]\n", "", "E206 1:1", "the head lacks key"),
        mistake(WEIGHT, "key: [session_id, r.id]", "key: session_id", "E206 8:6",
                "'key' must be a list"),
        mistake(WEIGHT, "each: rows as r", "each: rows", "E201 5:7",
                "must be like 'vitals as v'"),
        mistake(WEIGHT, "each: rows as r", "each: row as r", "E202 5:7",
                "source has no field row; did you mean 'rows'?"),
        mistake(WEIGHT, "each: rows as r", "each: rows as visit", "E206 5:7",
                "'visit' is a name already; choose another"),
        mistake(WEIGHT, "  shown: r.note", "  r: r.note", "E206 10:6",
                "'r' is a name already; choose another"),
        mistake(WEIGHT, "  shown: r.note", "  shown: r.nte", "E202 10:12",
                "source has no field r.nte; did you mean 'note'?"),
        mistake(WEIGHT, "when: r.weight.exists()", "when: r.weight", "E205 6:9",
                "r.weight is an object; a yes or no is needed: use exists() or compare it"),
        mistake(WEIGHT, "as_of: r.time", "as_of: r.note", "E205 7:10",
                "'as_of' must be a time with its offset, and this is a string"),
        mistake(WEIGHT, "key: [session_id, r.id]", "key: [session_id, r.weight]", "E205 8:21",
                "r.weight is an object, and cannot be part of a key"),
        mistake(WEIGHT, "{check: r.weight.value > 0, message: the weight is not positive}",
                "{check: r.weight.value > 0}", "E206 12:5", "a requirement is {check, message}"),
        mistake(WEIGHT, "display: = shown", "display: = shwon", "E202 30:23",
                "source has no field shwon; did you mean 'shown'?"),
        mistake(WEIGHT, "  device: {display: = shown}\n", "", "E202 10:3",
                "'shown' is never used"),
        # expressions
        mistake(WEIGHT, "= r.time", "= r..time", "E201 19:26", "a name must follow the dot"),
        mistake(WEIGHT, "= r.time", "= r.tiem", "E202 19:26",
                "source has no field r.tiem; did you mean 'time'?"),
        mistake(WEIGHT, "= quantity(r.weight)", "= quanttiy(r.weight)", "E203 20:20",
                "there is no function quanttiy() here; did you mean 'quantity'?"),
        mistake(WEIGHT, "translate('way', r.way)", "translate('wya', r.way)", "E204 21:23",
                "no ConceptMap 'wya'; did you mean 'way'?"),
        mistake(WEIGHT, "translate('way', r.way)", "translate('way', r.weight)", "E205 21:32",
                "translate() takes a coded field or a word, and this is an object"),
        mistake(WEIGHT, "translate('way', r.way)", "translate('way', r.kind)", "E204 21:23",
                "the map has no row for 'before', which the field can be"),
        mistake(WEIGHT, "= quantity(r.weight)", "= quantity(r.score)", "E205 20:31",
                "quantity() takes a measure or a number, and r.score is an integer; "
                "a number needs a unit: quantity(number, 'unit')"),
        mistake(WEIGHT, "= quantity(r.weight)", "= quantity(r.score, 'kgs')", "E301 20:38",
                "unit 'kgs' is not in units.yaml; did you mean 'kg'?"),
        # references
        mistake(WEIGHT, "ref(Patient, patient.id)", "ref(Patiant, patient.id)", "E216 18:18",
                "no mapping makes a Patiant; did you mean 'Patient'?"),
        mistake(WEIGHT, "ref(Patient, patient.id)", "ref(Patient, 'preson', patient.id)", "E216 "
                "18:27", "no mapping makes a Patient with the keyspace 'preson'; "
                "did you mean 'person'?"),
        mistake(WEIGHT, "ref(Patient, patient.id)", "ref(Patient, session_id, patient.id)",
                "E216 18:14", "the key of Patient 'person' has 1 part(s), not 2"),
        mistake(WEIGHT, "ref(Patient, patient.id)", "ref(Observation, session_id, r.id)", "E216 "
                "18:12", "Observation.subject may refer to Device, Group, Location, Patient, "
                "not to Observation"),
        mistake(WEIGHT, "ref(Patient, patient.id)", "ref('Patient', patient.id)", "E216 18:18",
                "ref() takes a resource type first, without quotes"),
        mistake(WEIGHT, "ref(Patient, patient.id)", "ref(Patient, r.weight)", "E205 18:29",
                "an object cannot be part of a key"),
        # the target
        mistake(WEIGHT, "valueQuantity: =", "valueQuantty: =", "E210 20:3",
                "Observation has no element 'valueQuantty'; did you mean 'valueQuantity'?"),
        mistake(WEIGHT, "valueQuantity: = quantity(r.weight)", "value: = quantity(r.weight)",
                "E211 20:3", "Observation.value[x] is written with its type: valueQuantity, "
                "valueCodeableConcept, valueString, valueBoolean, valueInteger, valueRange, "
                "valueRatio, valueSampledData, valueTime, valueDateTime, valuePeriod"),
        mistake(WEIGHT, "= r.time", "= rows.time", "E212 19:22",
                "Observation.effectiveDateTime takes one value, and this is a list; "
                "use first() or single()"),
        mistake(WEIGHT, "  code: loinc#29463-7", "  code: [loinc#29463-7]", "E212 17:9",
                "Observation.code takes one value, not a list"),
        mistake(WEIGHT, "  status: final", "  status: final\n  category: {text: x}",
                "E212 17:13", "Observation.category is a list; write '- ' before each item"),
        mistake(WEIGHT, "= r.time", "= r.weight.value", "E213 19:22",
                "Observation.effectiveDateTime is a dateTime, and this gives a decimal"),
        mistake(PERSON, "= patient.birth_date", "= visit.start", "E213 14:14",
                "Patient.birthDate is a date, and this gives a dateTime; use toDate()"),
        mistake(WEIGHT, "= translate('way', r.way)", "= r.note", "E213 21:11",
                "Observation.method is a CodeableConcept, and this gives a string; "
                "use translate(), code() or text()"),
        mistake(WEIGHT, "  code: loinc#29463-7", "  code: weight", "E213 17:9",
                "Observation.code is a CodeableConcept, not a plain value; "
                "a code is written system#code"),
        mistake(WEIGHT, "= r.time", "2026-3-2", "E213 19:22",
                "Observation.effectiveDateTime is a dateTime, and '2026-3-2' is none"),
        mistake(WEIGHT, "  status: final", "  status: {code: final}", "E213 16:11",
                "Observation.status is a code, not an object"),
        mistake(WEIGHT, "  status: final", "  status:", "E213 16:10",
                "Observation.status has no value; leave it out instead"),
        mistake(WEIGHT, "  status: final", "  status: finl", "E214 16:11",
                "Observation.status must be one of amended, cancelled, corrected, "
                "entered-in-error, final, preliminary, registered, unknown, not 'finl'; did you "
                "mean 'final'?"),
        mistake(WEIGHT, "  status: final", "  status: = r.state", "E214 16:11",
                "Observation.status must be one of amended, cancelled, corrected, "
                "entered-in-error, final, preliminary, registered, unknown, and this can be "
                "'planned'"),
        mistake(WEIGHT, "  status: final", "  status: = r.note", "E214 16:11",
                "Observation.status takes only certain codes, and this could be any text; "
                "use translate()"),
        mistake(WEIGHT, "  status: final\n", "", "E215 16:3",
                "Observation needs status, and it is not written"),
        # codes
        mistake(WEIGHT, "loinc#29463-7", "loinc#29463-8", "E208 17:9",
                "code '29463-8' of 'loinc' is not in codes.yaml; did you mean '29463-7'?"),
        mistake(WEIGHT, "loinc#29463-7", "lionc#29463-7", "E208 17:9",
                "code system 'lionc' is not in codes.yaml; did you mean 'loinc'?"),
        # directives and fragments
        mistake(WEIGHT, "    $item:", "    $itme:", "E218 27:5",
                "a directive is {$for, $item}, {$switch} or {$use, with}, each with $if or not, "
                "not '$itme'"),
        mistake(WEIGHT, "      $if: step.text", "      $fi: step.text", "E218 29:7",
                "directive $fi cannot stand here; did you mean '$if'?"),
        mistake(WEIGHT, "$use: piece", "$use: peice", "E207 23:13",
                "no fragment 'peice'; did you mean 'piece'?"),
        mistake(WEIGHT, "{code: loinc#8302-2,", "{cod: loinc#8302-2,", "E207 24:14",
                "fragment 'piece' has no parameter 'cod'; did you mean 'code'?"),
        mistake(WEIGHT, ", value: = r.weight}", "}", "E207 23:7",
                "fragment 'piece' needs 'value'"),
        mistake(WEIGHT, "value: = r.weight}", "value: = r.wieght}", "E202 24:45",
                "source has no field r.wieght; did you mean 'weight'?"),
        mistake(PIECE, "= $code", "= $cdoe", "E202 4:11", "there is no $cdoe here; "
                "did you mean '$code'?"),
        mistake(PIECE, "= quantity($value)", "= quantity(r.weight)", "E202 5:29",
                "source has no field r"),
        mistake(PIECE, "fragment: piece", "fragment: peice", "E206 1:11",
                "'fragment' must be the file's name, 'piece'"),
        # ConceptMaps
        mistake(WAY, "  - [vein, 47625008, equivalent]\n", "", "E302 6:1",
                "no row for 'vein' of way"),
        mistake(WAY, "[vein, 47625008", "[vien, 47625008", "E302 7:5",
                "the record has no key 'vien'; did you mean 'vein'?"),
        mistake(WAY, "  - {key: nose", "  - [vein, 46713006, wider]\n  - {key: nose", "E302 8:5",
                "'vein' has two rows"),
        mistake(WAY, "47625008, equivalent", "47625009, equivalent", "E208 7:12",
                "code '47625009' of 'snomed' is not in codes.yaml; did you mean '47625008'?"),
        mistake(WAY, "47625008, equivalent", "47625008, equivlent", "E303 7:22",
                "'equivalence' is one of relatedto, equivalent, equal, wider, subsumes, narrower, "
                "specializes, inexact, unmatched; did you mean 'equivalent'?"),
        mistake(WAY, "target: snomed", "target: snomd", "E208 4:9",
                "code system 'snomd' is not in codes.yaml; did you mean 'snomed'?"),
        mistake(WAY, "unmapped: error", "unmapped: eror", "E303 5:11",
                "'unmapped' is error, text-only, omit or {use: system#code}; "
                "did you mean 'error'?"),
        mistake(WAY, "{table: way}", "{table: wya}", "E303 3:17",
                "the record has no table 'wya'; did you mean 'way'?"),
        mistake(WAY, "codings: [46713006]", "coding: [46713006]", "E303 8:17",
                "a row has no 'coding'; did you mean 'codings'?"),
        # tables
        mistake("codes.yaml", "display: Body weight, source: test", "display: Body weight",
                "E303 6:18", "'source' of loinc#29463-7 must be a text"),
        mistake("codes.yaml", "    url: http://snomed.info/sct\n", "", "E303 9:5",
                "'url' of 'snomed' must be a text"),
        mistake("units.yaml", "{code: kg, display", "{cod: kg, display", "E303 2:8",
                "'cod' means nothing here; did you mean 'code'?"),
        mistake("units.yaml", "  kg: {code", "  kq: {code", "E301 2:7",
                "the record has no unit 'kq' of mass"),
        mistake("units.yaml", "code: kg", "code: g", "E303 2:14",
                "'g' is not 'kg'; if UCUM calls it so, say so in a note"),
        mistake("units.yaml", "{spray}", "{sprai}", "E303 5:17",
                "'{sprai}' is not 'spray'; if UCUM calls it so, say so in a note"),
        mistake("units.yaml", "dimension: mass}", "dimension: mas}", "E301 2:7",
                "the record has no dimension 'mas'; did you mean 'mass'?"),
        # documents
        mistake(NOTE, "</p>", "</q>", "E209 3:1", "</q> closes nothing here; <p> is open"),
        mistake(NOTE, "row.note", "row.nte", "E209 3:1",
                "an object has no field 'nte' here; did you mean 'note'?"),
        mistake(NOTE, "in rows", "in rwos", "E209 2:1",
                "the record has no part 'rwos'; did you mean 'rows'?"),
        mistake(NOTE, "| measure", "| mesure", "E209 3:1",
                "no such filter 'mesure'; did you mean 'measure'?"),
        mistake(NOTE, "coded('way')", "coded('wya')", "E204 3:1",
                "coded() takes a ConceptMap in quotes; did you mean 'way'?"),
        mistake(NOTE, "{% endfor %}", "{% enfor %}", "E209 4:1",
                "not a template: Encountered unknown tag 'enfor'. Jinja was looking for the "
                "following tags: 'endfor' or 'else'. The innermost block that needs to be closed "
                "is 'for'."),
        mistake(NOTE, "{{ row.note }}", "{% if loop.lust %}x{% endif %}", "E209 3:1",
                "a loop has no 'lust'; did you mean 'last'?"),
        mistake(NOTE, "{% for", "{% include 'x' %}{% for", "E209 2:1",
                "a document stands alone; no include or import"),
        # the folder
        mistake("fhirbridge.yaml", "format: 1", "format: 2", "E219 1:9",
                "'format' must be 1: it is what this version reads"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, file: str, old: str, new: str, fault: str
) -> None:
    assert fault in faults(tmp_path, changed(file, old, new))


def test_all_mistakes_are_shown_at_once(tmp_path: Path) -> None:
    files = changed(WEIGHT, "status: final", "status: finl")
    files[WEIGHT] = files[WEIGHT].replace("= r.time", "= r.tiem").replace("note:", "note2:")
    files[PERSON] = files[PERSON].replace("gender:", "gendr:")

    found = faults(tmp_path, files)

    assert [fault.split()[0] for fault in found] == ["E210", "E214", "E202", "E210"]


@pytest.mark.parametrize("use", ["shown", "shown & '?'", "document('other')", "more"])
def test_a_mistake_in_a_let_is_told_once_however_often_it_is_used(tmp_path: Path, use: str) -> None:
    lets = "shown: r.noet & '!'\n  more: shown & '.'"
    files = changed(WEIGHT, "shown: r.note & '!'", lets) | {"documents/other.html": "{{ shown }}"}
    check = "requires:\n  - {check: more.exists() and shown.exists(), message: none}"
    files[WEIGHT] = files[WEIGHT].replace("requires:", check).replace("= shown", f'"= {use}"')

    found = faults(tmp_path, files)

    at = "E202 mappings/resources/weight.yaml:10:12"
    assert found == [f"{at} source has no field r.noet; did you mean 'note'?"]


def test_an_xhtml_document_is_one_div(tmp_path: Path) -> None:
    found = faults(tmp_path, changed(NOTE, '<div xmlns="http://www.w3.org/1999/xhtml">', "<div>"))

    assert found == [
        (
            "E209 mappings/resources/person.yaml:9:42 documents/note.html must start with "
            '<div xmlns="http://www.w3.org/1999/xhtml">'
        )
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    files = {name: text for name, text in FILES.items() if name != "units.yaml"}

    assert "E219 mappings/units.yaml:1:1 the file is missing" in faults(tmp_path, files)


def test_a_file_that_would_be_passed_over_is_named(tmp_path: Path) -> None:
    files = dict(FILES) | {"resources/extra.yml": "mapping: extra"}

    assert faults(tmp_path, files) == [
        "E219 mappings/resources/extra.yml:1:1 in resources/ only files that end in .yaml are read"
    ]


def test_a_fragment_that_nobody_uses_is_named(tmp_path: Path) -> None:
    files = with_files(fragments__idle="fragment: idle\nparameters: []\ncontent: {text: x}\n")

    assert faults(tmp_path, files) == [
        "E207 mappings/fragments/idle.yaml:1:1 no mapping uses this fragment"
    ]


def test_a_fragment_may_not_use_itself(tmp_path: Path) -> None:
    files = changed(PIECE, "content:\n", "content:\n  $use: piece\n")
    files[PIECE] = (
        "fragment: piece\nparameters: [code, value]\ncontent:\n  $use: piece\n"
        "  with: {code: = $code, value: = $value}\n"
    )

    assert "E207 mappings/fragments/piece.yaml:4:9 fragment 'piece' uses itself" in faults(
        tmp_path, files
    )


def test_one_keyspace_has_keys_of_one_length(tmp_path: Path) -> None:
    other = FILES[PERSON].replace("mapping: person", "mapping: other\nkeyspace: person")
    other = other.replace("key: [patient.id]", "key: [patient.id, session_id]")

    assert (
        "E217 mappings/resources/person.yaml:5:6 the keyspace 'person' of Patient is also "
        "that of 'other', whose key has 2 part(s)"
    ) in faults(tmp_path, with_files(resources__other=other))


def test_several_keyspaces_of_a_type_must_be_told_apart(tmp_path: Path) -> None:
    files = with_files(resources__other=FILES[PERSON].replace("mapping: person", "mapping: other"))

    assert faults(tmp_path, files) == [
        (
            "E216 mappings/resources/weight.yaml:18:14 several mappings make a Patient; "
            "name one after the type: 'other', 'person'"
        )
    ]


def test_a_required_value_set_is_not_filled_by_what_a_record_may_say(tmp_path: Path) -> None:
    files = changed(PERSON, "gender: = patient.gender", "gender: = translate('way', rows[0].way)")

    assert faults(tmp_path, files) == [
        (
            "E214 mappings/resources/person.yaml:13:11 Patient.gender takes only certain codes, "
            "and the record may say any; map its key"
        )
    ]


def test_the_error_says_what_to_read(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as caught:
        load(tmp_path, changed(WEIGHT, "status: final", "status: finl"))

    assert caught.value.message.startswith("the mapping set has 1 mistake(s):\nE214 mappings/")
    assert caught.value.hint == "see docs/mapping-format.md"
