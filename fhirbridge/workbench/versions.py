"""Whether the version of a mapping grew enough for what changed: major, minor, patch."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum

from fhirbridge.translate import yaml_tree
from fhirbridge.translate.mapping_set import Files
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, Sequence

# Another id for the same thing, or another owner of it: every chart gets a second copy.
BREAKING = ("target", "scope", "keyspace", "key")
_FOLDERS = ("resources", "overlays")


class Step(IntEnum):
    """How much a version grew, or must grow."""

    BACK = -1
    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStep:
    """The step of one mapping file, or of an overlay."""

    mapping: str
    old: str
    new: str
    needed: Step
    because: str

    @property
    def is_enough(self) -> bool:
        """Whether the step is as large as what changed."""
        return taken(self.old, self.new) >= self.needed


def steps(
    old: Files, new: Files, changes: Collection[tuple[str, str, str]]
) -> tuple[VersionStep, ...]:
    """Return the step of each mapping and overlay in both whose version, or output, changed.

    `changes` are mapping, overlay ("" for none) and what changes. What changes only with an overlay
    is put down to the overlay where that is another, and to the mapping where it is another.
    """
    differs = {name for name in old.by_name if old.by_name[name] != new.by_name.get(name)}
    vanished, touched = set[str](), set[str]()
    for mapping, overlay, what in changes:
        owners = [mapping]
        if f"overlays/{overlay}.yaml" in differs:
            own = f"resources/{mapping}.yaml" in differs
            owners = [overlay, mapping] if own else [overlay]
        touched.update(owners)
        vanished.update(owners if what == "vanishes" else ())
    heads = _heads(old), _heads(new)
    found = []
    for mapping in sorted(heads[0].keys() & heads[1].keys()):
        before, after = heads[0][mapping], heads[1][mapping]
        needed, because = Step.NONE, "the corpus shows no difference"
        if mapping in touched:
            needed, because = Step.MINOR, "elements or resources change"
        if mapping in vanished:
            needed, because = Step.MAJOR, "resources vanish"
        changed = [name for name in BREAKING if before.get(name) != after.get(name)]
        if changed:
            needed, because = Step.MAJOR, f"{', '.join(changed)} changed in the head"
        if needed is not Step.NONE or before["version"] != after["version"]:
            found.append(
                VersionStep(
                    mapping=mapping,
                    old=before["version"],
                    new=after["version"],
                    needed=needed,
                    because=because,
                )
            )
    return tuple(found)


def taken(old: str, new: str) -> Step:
    """Return the step from one version to another."""
    before, after = _numbers(old), _numbers(new)
    if after < before:
        return Step.BACK
    for step, (was, now) in zip(
        (Step.MAJOR, Step.MINOR, Step.PATCH), zip(before, after, strict=True), strict=True
    ):
        if now > was:
            return step
    return Step.NONE


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _heads(files: Files) -> dict[str, dict[str, str]]:
    found = {}
    for name, raw in files.by_name.items():
        folder, _, file = name.partition("/")
        if folder in _FOLDERS:
            tree = yaml_tree.read(raw.decode("utf-8"), f"{files.root}/{name}")
            mapping = file.removesuffix(".yaml")
            found[mapping] = dict(_head(tree, mapping))
    return found


def _head(tree: Fields, mapping: str) -> Iterator[tuple[str, str]]:
    yield "keyspace", mapping
    for name in ("version", *BREAKING):
        if name in tree.items:
            yield name, ", ".join(_texts(tree.items[name]))


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        yield node.text
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _texts(item)
