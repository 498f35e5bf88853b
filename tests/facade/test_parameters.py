"""The table of what is shown: every type that we make, searched by elements that R4 has."""

import re
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from fhirbridge.facade.parameters import TYPES, Kind, includes
from tests.source_rules import ROOT


def test_every_type_that_is_made_is_shown() -> None:
    files = sorted((ROOT / "mappings" / "resources").glob("*.yaml"))
    made = {re.findall(r"(?m)^target: (\w+)", one.read_text("utf-8"))[0] for one in files}

    assert made <= TYPES.keys()
    assert len(made) > 10


def test_each_path_leads_to_an_element_that_r4_has() -> None:
    wrong = [
        f"{kind}.{path}"
        for kind, shown in TYPES.items()
        for one in shown.parameters.values()
        for path in (*one.paths, *shown.when)
        if not leads(get_fhir_model_class(kind), path)
    ]

    assert wrong == []


def leads(model: Any, path: str) -> bool:
    """Say whether R4B's class has an element at a path."""
    name, _, rest = path.partition(".")
    names = {field.alias or own: own for own, field in model.model_fields.items()}
    if name not in names:
        return False
    kind = re.findall(r"(\w+)Type\b", str(model.model_fields[names[name]].annotation))
    return not rest or leads(get_fhir_model_class(kind[-1]), rest)


def test_what_is_followed_is_a_reference_that_is_searched_by() -> None:
    for one in includes():
        kind, _, name = one.partition(":")
        assert TYPES[kind].parameters[name].kind is Kind.REFERENCE
