"""codes.yaml: the only place where a code, its system and its display are written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fhirbridge.translate.faults import FaultError, Faults, Place, suggest
from fhirbridge.translate.yaml_tree import Fields, Node, fields_of, text_of

CODE = re.compile(r"([A-Za-z][A-Za-z0-9-]*)#(\S(?:.*\S)?)")
_SYSTEM_KEYS = ("url", "version", "license", "codes")
_CODE_KEYS = ("display", "source", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """Codes with one meaning, and its words; either may be absent."""

    codings: tuple[Mapping[str, str], ...] = ()  # FHIR Codings
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    url: str
    displays: Mapping[str, str]  # by code


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTable:
    systems: Mapping[str, System]  # by alias

    def find(self, alias: str, code: str, place: Place) -> Concept:
        """Return one code. Raises FaultError E208 where codes.yaml has no such system or code."""
        system = self.system(alias, place)
        if code not in system.displays:
            near = suggest(code, system.displays)
            raise FaultError(
                "E208", place, f"code '{code}' of '{alias}' is not in codes.yaml{near}"
            )
        return self.concept(alias, code)

    def system(self, alias: str, place: Place) -> System:
        if alias not in self.systems:
            near = suggest(alias, self.systems)
            message = f"code system '{alias}' is not in codes.yaml{near}"
            raise FaultError("E208", place, message, needs="codes.yaml")
        return self.systems[alias]

    def check_url(self, url: str, place: Place) -> None:
        """Raise FaultError E208 where no system of codes.yaml has the URL."""
        known = [system.url for system in self.systems.values()]
        if url not in known:
            message = f"no code system of codes.yaml has the url '{url}'{suggest(url, known)}"
            raise FaultError("E208", place, message, needs="codes.yaml")

    def concept(self, alias: str, code: str) -> Concept:
        """Return one code that is known to be there."""
        system = self.systems[alias]
        coding = {"system": system.url, "code": code}
        if system.displays[code]:
            coding["display"] = system.displays[code]
        return Concept(codings=(coding,))


def load(tree: Fields, faults: Faults) -> CodeTable:
    """Read codes.yaml; what is misshapen is noted in `faults` and left out."""
    systems: dict[str, System] = {}
    refuse_keys(tree, ("systems",), faults)
    with faults.caught():
        listed = fields_of(tree.items.get("systems"), "'systems'", tree.place, code="E303")
        for alias, node in listed.items.items():
            with faults.caught():
                systems[alias] = _system(alias, node, faults)
    return CodeTable(systems=systems)


def _system(alias: str, node: Node, faults: Faults) -> System:
    fields = fields_of(node, f"system '{alias}'", node.place, code="E303")
    refuse_keys(fields, _SYSTEM_KEYS, faults)
    url = text_of(fields.items.get("url"), f"'url' of '{alias}'", fields.place, code="E303")
    displays: dict[str, str] = {}
    if "codes" in fields.items:
        codes = fields_of(fields.items["codes"], f"'codes' of '{alias}'", fields.place, code="E303")
        for code, entry in codes.items.items():
            with faults.caught():
                displays[code] = _display(alias, code, entry, faults)
    return System(url=url, displays=displays)


def _display(alias: str, code: str, node: Node, faults: Faults) -> str:
    fields = fields_of(node, f"{alias}#{code}", node.place, code="E303")
    refuse_keys(fields, _CODE_KEYS, faults)
    text_of(fields.items.get("source"), f"'source' of {alias}#{code}", fields.place, code="E303")
    shown = fields.items.get("display")
    return (
        text_of(shown, f"'display' of {alias}#{code}", fields.place, code="E303") if shown else ""
    )


def refuse_keys(fields: Fields, known: tuple[str, ...], faults: Faults, code: str = "E303") -> None:
    """Note each key that is not one of `known`."""
    for key, place in fields.places.items():
        if key not in known:
            faults.add(code, place, f"'{key}' means nothing here{suggest(key, known)}")
