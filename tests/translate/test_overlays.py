"""An overlay changes the mappings for the destinations that name it, and for no others."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.fhir.validate import problems
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.faults import MappingError
from fhirbridge.translate.mapping_set import Files, MappingSet
from fhirbridge.translate.values import Translation
from tests.golden import translating
from tests.translate.small_set import FILES, RECORD, SITE, SOURCE, faults, write

HEAD = "overlay: other\nversion: 1.0.0\nowner: nobody\nreviewed: not signed off\n"
OTHER = "overlays/other.yaml"
EXTRA = "resources/extra.yaml"
AN_EXTRA = """\
mapping: extra
version: 1.0.0
target: Observation
scope: visit
optional: true
each: rows as r
when: r.weight.exists()
key: [r.id]
keyspace: weight-again
owner: nobody
reviewed: not signed off
resource:
  status: final
  code: {text: Weight again}
  derivedFrom:
    - = ref(Observation, 'weight', session_id, r.id)
"""


def with_overlay(text: str, **more: str) -> dict[str, str]:
    files = dict(FILES) | {OTHER: HEAD + text}
    return files | {"resources/" + name + ".yaml": body for name, body in more.items()}


def a_change(text: str, mapping: str = "weight") -> dict[str, str]:
    return with_overlay(f"changes:\n  - mapping: {mapping}\n    {text}\n")


def translated(folder: Path, files: dict[str, str], overlay: str = "other") -> Translation:
    made = mapping_set.load(write(folder, files), SOURCE, overlay)
    return engine.translate(RECORD, mapping_set=made, site=SITE)


def body(folder: Path, files: dict[str, str], mapping: str = "weight") -> dict[str, Any]:
    found = translated(folder, files)
    assert found.problems == ()
    return next(made.body for made in found.resources if made.mapping == mapping)


def test_an_element_is_deleted(tmp_path: Path) -> None:
    made = body(tmp_path, a_change("at: method\n    delete: true"))

    assert "method" not in made
    assert "valueQuantity" in made


def test_a_value_is_replaced_and_its_why_names_the_overlay(tmp_path: Path) -> None:
    found = translated(tmp_path, a_change("at: status\n    replace: amended"))

    made = next(one for one in found.resources if one.mapping == "weight")
    why = next(one for one in made.why if one.target == "Observation.status")
    assert made.body["status"] == "amended"
    assert why.line == "overlays/other.yaml:8"


@pytest.mark.parametrize(
    ("at", "more", "key", "made"),
    [
        pytest.param(
            "component", "[{code: {text: More}, valueString: yes}]", "component", 2, id="a list"
        ),
        pytest.param("note", "[{text: more}]", "note", 2, id="what $for makes"),
        pytest.param("resource", "{category: [{text: more}]}", "category", 1, id="the whole"),
    ],
)
def test_items_and_elements_are_appended(
    tmp_path: Path, at: str, more: str, key: str, made: int
) -> None:
    assert len(body(tmp_path, a_change(f"at: {at}\n    append: {more}"))[key]) == made


@pytest.mark.parametrize(
    ("at", "value", "path", "made"),
    [
        ("device.display", "= 'no ' & shown", ("device", "display"), "no calm!"),
        ("note.text", "= r.note", ("note", 0, "text"), "calm"),
        ("component[0].with.code", "loinc#29463-7",
         ("component", 0, "code", "coding", 0, "code"), "29463-7"),
        ("component[with.code=loinc#8302-2].with.code", "loinc#29463-7",
         ("component", 0, "code", "coding", 0, "code"), "29463-7"),
        ("component[$use=piece].with.code", "loinc#29463-7",
         ("component", 0, "code", "coding", 0, "code"), "29463-7"),
        ("head.let.shown", "r.note & '?'", ("device", "display"), "calm?"),
        ("head.profile", "[http://example.org/p]", ("meta", "profile", 0), "http://example.org/p"),
    ],
)  # fmt: skip
def test_a_path_reaches_what_it_names(
    tmp_path: Path, at: str, value: str, path: tuple[Any, ...], made: str
) -> None:
    files = a_change(f'at: "{at}"\n    replace: {value}')
    old = "reviewed: not signed off\nresource"
    claimed = "reviewed: not signed off\nprofile: [http://example.org/old]\nresource"
    files["resources/weight.yaml"] = files["resources/weight.yaml"].replace(old, claimed)

    found: Any = body(tmp_path, files)

    for step in path:
        found = found[step]
    assert found == made


def test_a_branch_of_a_switch_is_reached_by_its_number(tmp_path: Path) -> None:
    files = a_change('at: "status.$switch[0].$then"\n    replace: amended')
    weight = FILES["resources/weight.yaml"]
    switch = "  status:\n    $switch:\n      - {$when: r.checked, $then: final}\n"
    files["resources/weight.yaml"] = weight.replace("  status: final\n", switch)

    assert body(tmp_path, files)["status"] == "amended"


def test_mappings_are_added_and_left_out(tmp_path: Path) -> None:
    files = with_overlay("add: [extra]\n", extra=AN_EXTRA)
    without = with_overlay(
        "leave_out: [weight]\nadd: [extra]\nchanges:\n"
        "  - {mapping: extra, at: derivedFrom, delete: true}\n",
        extra=AN_EXTRA,
    )

    made = {one.mapping for one in translated(tmp_path / "1", files).resources}
    fewer = {one.mapping for one in translated(tmp_path / "2", without).resources}

    assert made == {"person", "weight", "extra"}
    assert fewer == {"person", "extra"}


def test_without_the_overlay_nothing_is_changed(tmp_path: Path) -> None:
    files = with_overlay("add: [extra]\nleave_out: []\n", extra=AN_EXTRA)

    plain = translated(tmp_path / "1", files, "")
    before = translated(tmp_path / "2", dict(FILES), "")

    assert [one.body for one in plain.resources] == [one.body for one in before.resources]


def test_a_set_says_which_overlay_it_has_and_which_there_are(tmp_path: Path) -> None:
    files = with_overlay("add: [extra]\n", extra=AN_EXTRA)
    every = mapping_set.compile_all(mapping_set.read(write(tmp_path, files)), SOURCE)

    assert {name: (one.overlay, one.overlays) for name, one in every.items()} == {
        "": ("", ("other",)),
        "other": ("other", ("other",)),
    }
    assert len({one.digest for one in every.values()}) == 1


def mistake(text: str, *found: str, id: str) -> object:  # noqa: A002
    return pytest.param(text, found, id=id)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        mistake("ad: [weight]\n", "E206 5:1 'ad' means nothing here; did you mean 'add'?",
                id="a key"),
        mistake("add: [weight]\n", "E220 5:7 'weight' is made everywhere; what is added has "
                "optional: true in its head", id="an addition"),
        mistake("leave_out: [wieght]\n",
                "E220 5:13 no mapping 'wieght' here; did you mean 'weight'?", id="a mapping"),
        mistake("leave_out: [person, person]\n", "E206 5:21 'person' is listed twice", id="twice"),
        mistake("changes:\n  - {mapping: weight, at: method, delte: true}\n",
                "E220 6:35 a change has no 'delte'; did you mean 'delete'?", id="a verb"),
        mistake("changes:\n  - {mapping: weight, at: method, delete: yes}\n",
                "E220 6:43 'delete' is written delete: true", id="delete"),
        mistake("changes:\n  - {mapping: weight, at: method}\n",
                "E220 6:5 a change is {mapping, at} with one of delete, replace, append",
                id="none"),
        mistake("changes:\n  - {mapping: weight, at: metod, delete: true}\n",
                "E220 6:27 the mapping writes no 'metod' there; did you mean 'method'?",
                id="an element"),
        mistake("changes:\n  - {mapping: weight, at: device.dsplay, delete: true}\n",
                "E220 6:34 the mapping writes no 'dsplay' there; did you mean 'display'?",
                id="an inner element"),
        mistake("changes:\n  - {mapping: weight, at: component.code, delete: true}\n",
                "E220 6:37 before 'code' stands a list; say which item, like [0]", id="no item"),
        mistake("changes:\n  - {mapping: weight, at: 'component[0].code', delete: true}\n",
                "E220 6:41 'code' would be in the fragment 'piece'; replace the whole, or "
                "with.NAME",
                id="into a fragment"),
        mistake("changes:\n  - {mapping: weight, at: 'component[7]', delete: true}\n",
                "E220 6:28 'component' has 1 item(s), counted from 0", id="a number"),
        mistake("changes:\n  - {mapping: weight, at: 'component[with.code=loinc#1]', "
                "delete: true}\n",
                "E220 6:28 no item(s) of 'component' have with.code=loinc#1; "
                "did you mean 'loinc#8302-2'?", id="an item"),
        mistake("changes:\n  - {mapping: weight, at: status.code, delete: true}\n",
                "E220 6:34 before 'code' stands a single value; replace that as a whole",
                id="into a value"),
        mistake("changes:\n  - {mapping: weight, at: device, append: {display: x}}\n",
                "E220 6:44 'display' is there already; use 'replace'", id="there already"),
        mistake("changes:\n  - {mapping: weight, at: head.resource, delete: true}\n",
                "E220 6:27 after 'head.' stands a key of the head, like when", id="the head"),
        mistake("changes:\n  - {mapping: weight, at: a..b, delete: true}\n",
                "E220 6:29 a path is like dosage.rateQuantity or component[0].code", id="a path"),
        mistake("changes:\n  - {mapping: weight, at: status, replace: fnal}\n",
                "E214 6:44 Observation.status must be one of amended, cancelled, corrected, "
                "entered-in-error, final, preliminary, registered, unknown, not 'fnal'; did you "
                "mean 'final'?", id="a code"),
        mistake("changes:\n  - {mapping: weight, at: effectiveDateTime, replace: = r.tiem}\n",
                "E202 6:59 source has no field r.tiem; did you mean 'time'?", id="an expression"),
    ],
)  # fmt: skip
def test_each_mistake_of_an_overlay_is_found_with_its_line_though_nobody_uses_it(
    tmp_path: Path, text: str, found: tuple[str, ...]
) -> None:
    shown = [
        fault.replace(f" mappings/{OTHER}:", " ", 1)
        for fault in faults(tmp_path, with_overlay(text))
    ]

    assert tuple(shown) == found


def test_a_mistake_in_another_file_says_with_which_overlay(tmp_path: Path) -> None:
    at = "mappings/resources/weight.yaml:18:18"

    found = faults(tmp_path, with_overlay("leave_out: [person]\n"))

    assert found == [
        f"E216 {at} no mapping makes a Patient (with the overlay 'other')",
    ]


def test_an_optional_mapping_that_no_overlay_adds_is_a_mistake(tmp_path: Path) -> None:
    found = faults(tmp_path, dict(FILES) | {EXTRA: AN_EXTRA})

    assert found == [f"E206 mappings/{EXTRA}:1:1 no overlay adds this mapping"]


def test_an_unknown_overlay_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    files: Files = mapping_set.read(write(tmp_path, with_overlay("")))

    with pytest.raises(MappingError, match="no overlay 'othr'; did you mean 'other'"):
        mapping_set.compile_set(files, SOURCE, "othr")


PLANTED = with_overlay(
    """\
leave_out: [person]
add: [extra]
changes:
  - mapping: weight
    at: subject
    delete: true
  - mapping: weight
    at: component[with.code=loinc#8302-2].with.value
    replace: = r.weight
  - mapping: extra
    at: code
    replace: loinc#8302-2
  - mapping: weight
    at: note.$if
    replace: r.note.exists()
""",
    extra=AN_EXTRA,
)


def test_a_wrong_letter_anywhere_in_an_overlay_is_a_mistake_with_a_place(tmp_path: Path) -> None:
    assert faults(tmp_path / "right", PLANTED) == []
    text, silent = PLANTED[OTHER], []
    letters = [match.start() for match in re.finditer(r"[A-Za-z]", text)][::3]

    for at in letters:
        line = text[:at].count("\n")
        if line in (2, 3):  # who owns and who reviewed it: words for people
            continue
        wrong = text[:at] + ("q" if text[at] != "q" else "x") + text[at + 1 :]
        found = faults(tmp_path / str(at), PLANTED | {OTHER: wrong})
        if not any(OTHER in fault for fault in found):
            silent.append((line + 1, wrong.splitlines()[line]))

    assert silent == []


@cache
def every_shipped() -> Mapping[str, MappingSet]:
    return mapping_set.compile_all(mapping_set.read(translating.MAPPINGS), source_schema())


def shipped(name: str, overlay: str) -> Translation:
    made = every_shipped()[overlay]
    record = schema.load(codec.encode(translating.sample(name)))
    return engine.translate(record.document, mapping_set=made, site=translating.SITE)


@pytest.mark.parametrize("overlay", ["rate-children", "adverse-event-resource"])
@pytest.mark.parametrize("name", ["03-iv-series-visit-3.v1", translating.WHOLE])
def test_what_a_shipped_overlay_makes_is_sound(overlay: str, name: str) -> None:
    found = shipped(name, overlay)

    assert found.problems == ()
    assert [said for one in found.resources for said in problems(one.body)] == []


@pytest.mark.parametrize("name", ["03-iv-series-visit-3.v1", translating.WHOLE])
def test_the_sum_of_all_doses_is_what_was_given_with_children_for_each_rate(name: str) -> None:
    plain, children = shipped(name, ""), shipped(name, "rate-children")

    rates = [one.body for one in children.resources if one.mapping == "administration-rate"]
    assert rates
    assert all("dose" not in rate["dosage"] and "rateQuantity" in rate["dosage"] for rate in rates)
    assert doses(children) == doses(plain)


def doses(found: Translation) -> list[Any]:
    """Each dose that a query for all administrations would add up."""
    given = [one.body for one in found.resources if one.type == "MedicationAdministration"]
    return [body["dosage"]["dose"] for body in given if "dose" in body.get("dosage", {})]


def test_an_adverse_event_is_one_resource_that_names_the_suspected_dose() -> None:
    found = shipped(translating.WHOLE, "adverse-event-resource")
    plain = shipped(translating.WHOLE, "")

    events = [one.body for one in found.resources if one.type == "AdverseEvent"]
    observed = [one for one in plain.resources if one.mapping == "adverse-event"]
    suspected = events[0]["suspectEntity"][0]["instance"]["reference"]
    assert len(events) == len(observed)
    assert not [one for one in found.resources if one.mapping == "adverse-event"]
    assert suspected in {f"{one.type}/{one.id}" for one in found.resources}
    assert events[0]["severity"]["coding"][0]["code"] == "moderate"
    assert events[0]["seriousness"] == {"text": "Not serious"}
