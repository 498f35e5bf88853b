"""Read a profile file: how a destination is set up, as a person says it in one place."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from fhirbridge.destinations import taken as of_types
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.limits import LimitChange, Limits
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Policy
from fhirbridge.destinations.taken import Taken, TypesError
from fhirbridge.errors import BridgeError
from fhirbridge.fhir.validate import is_type
from fhirbridge.translate import yaml_tree
from fhirbridge.translate.faults import FaultError, Place
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, Sequence

SHIPPED = Path(__file__).parent
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
LARGEST_FILE = 100_000
LONGEST_ABOUT = 200
LIMITS = ("concurrent", "rps", "per-day")
UNLIMITED = LimitChange()
AS_PROBED = "as-probed"
KEYS = ("about", "mode", "patients", "consent", "weak-guard", "limits", "types")


class ProfileError(BridgeError):
    """A profile is not there, or its file has mistakes: all are listed, each with its line."""

    code = "E429"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Settings of a destination; what a file leaves out stays as it is."""

    name: str = ""
    about: str = ""
    mode: str | None = None  # the one that a person names; "": what a probe sees decides
    patients: Policy | None = None
    requires_consent: bool = False  # in any case
    forbids_weak_guard: bool = False
    limits: LimitChange = UNLIMITED
    types: Mapping[str, Taken] = field(default_factory=dict)


NO_PROFILE = Profile()


def shipped() -> list[Profile]:
    """Return the profiles that come with the program, by name."""
    return [load(path.stem) for path in sorted(SHIPPED.glob("*.yaml"))]


def load(named: str) -> Profile:
    """Load a profile by the name of a shipped one, or from a file. Raises ProfileError."""
    ours = SHIPPED / f"{named}.yaml"
    path = ours if NAME.fullmatch(named) and ours.is_file() else Path(named)
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8") if len(raw) <= LARGEST_FILE else ""
    except (OSError, ValueError):
        text = ""
    if not text:
        names = ", ".join(one.stem for one in sorted(SHIPPED.glob("*.yaml")))
        raise ProfileError(
            "there is no profile of this name, and no such file of text",
            hint=f"these come with the program: {names}; or name a YAML file",
        )
    return parse(text, path.name)


def parse(text: str, file: str) -> Profile:
    """Read the text of a profile file. Raises ProfileError with every mistake and its line."""
    reader = _Reader(file)
    try:
        tree = yaml_tree.read(text, file)
    except FaultError as error:
        raise _mistakes([f"{error.fault.place}: {error.fault.message}"]) from None
    made = reader.profile(tree)
    if reader.mistakes:
        raise _mistakes(reader.mistakes)
    return made


def _mistakes(found: list[str]) -> ProfileError:
    return ProfileError(
        f"the profile has {len(found)} mistake(s):\n" + "\n".join(found),
        hint="see docs/operate.md, An EHR that takes little",
    )


class _Reader:
    """Reads every key, and notes what is wrong with each."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.mistakes: list[str] = []

    def profile(self, tree: Fields) -> Profile:
        self._known(tree, KEYS)
        items = tree.items
        mode = self._word(items.get("mode"), "mode", (Mode.CREATE_ONLY.value, AS_PROBED))
        policy = self._word(items.get("patients"), "patients", [one.value for one in Policy])
        return Profile(
            name=Path(self._file).stem[:40],
            about=self._text(items.get("about")),
            mode={AS_PROBED: "", "": None}.get(mode, mode),
            patients=Policy(policy) if policy else None,
            requires_consent=bool(self._word(items.get("consent"), "consent", ("required",))),
            forbids_weak_guard=bool(self._word(items.get("weak-guard"), "weak-guard", ("off",))),
            limits=self._limits(items.get("limits")),
            types=self._types(items.get("types")),
        )

    def _say(self, place: Place, message: str) -> None:
        self.mistakes.append(f"{place}: {message}")

    def _known(self, tree: Fields, names: tuple[str, ...]) -> None:
        for name, place in tree.places.items():
            if name not in names:
                near = get_close_matches(name, names, n=1)
                meant = f"; did you mean {near[0]}?" if near else f"; it may be {', '.join(names)}"
                self._say(place, f"nobody knows '{name[:40]}'{meant}")

    def _text(self, node: Node | None) -> str:
        if node is None:
            return ""
        text = node.text if isinstance(node, Scalar) else ""
        if not text.isprintable() or not 0 < len(text) <= LONGEST_ABOUT:
            self._say(node.place, f"about is one line of at most {LONGEST_ABOUT} characters")
            return ""
        return text

    def _word(self, node: Node | None, name: str, allowed: list[str] | tuple[str, ...]) -> str:
        if node is None:
            return ""
        if isinstance(node, Scalar) and node.text in allowed:
            return node.text
        self._say(node.place, f"{name} must be {' or '.join(allowed)}")
        return ""

    def _limits(self, node: Node | None) -> LimitChange:
        if node is None:
            return LimitChange()
        if not isinstance(node, Fields):
            self._say(node.place, f"limits must be an object of {', '.join(LIMITS)}")
            return LimitChange()
        self._known(node, LIMITS)
        rps = self._number(node.items.get("rps"), "rps", float)
        concurrent = self._number(node.items.get("concurrent"), "concurrent", int)
        per_day = self._number(node.items.get("per-day"), "per-day", int)
        change = LimitChange(
            rps=rps,
            concurrent=None if concurrent is None else int(concurrent),
            per_day=None if per_day is None else int(per_day),
        )
        try:
            change.applied(Limits())
        except DestinationError as error:
            self._say(node.place, error.message)
            return LimitChange()
        return change

    def _number(self, node: Node | None, name: str, number: Callable[[str], float]) -> float | None:
        if node is None:
            return None
        try:
            return number(node.text if isinstance(node, Scalar) else "")
        except ValueError:
            self._say(node.place, f"{name} must be a number")
            return None

    def _types(self, node: Node | None) -> dict[str, Taken]:
        if node is None:
            return {}
        ways = tuple(one.value for one in Taken)
        if not isinstance(node, Fields):
            self._say(node.place, f"types must be an object of {', '.join(ways)}")
            return {}
        self._known(node, ways)
        found: dict[str, Taken] = {}
        for way in (one for one in ways if one in node.items):
            for kind, place in self._listed(node.items[way], way):
                if kind in found:
                    self._say(place, f"{kind} is named twice")
                found[kind] = Taken(way)
        try:
            of_types.check(found)
        except TypesError as error:
            self._say(node.place, f"{error.message}; {error.hint}")
        return found

    def _listed(self, node: Node, way: str) -> Iterator[tuple[str, Place]]:
        if not isinstance(node, Sequence):
            self._say(node.place, f"{way} must be a list of resource types")
            return
        for item in node.items:
            if isinstance(item, Scalar) and is_type(item.text):
                yield item.text, item.place
            else:
                self._say(item.place, "this is no resource type of R4")
