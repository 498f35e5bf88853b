"""A folder of mappings to one immutable, checked set with a digest.

All its mistakes are found together.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from fhirbridge.records.source import SourceField
from fhirbridge.translate import mapping_folder, overlays, reference_graph, yaml_tree
from fhirbridge.translate.documents import templates
from fhirbridge.translate.expressions.compiled import Names, Slots, World
from fhirbridge.translate.faults import (
    A_LET,
    Fault,
    FaultError,
    Faults,
    MappingError,
    Place,
    suggest,
)
from fhirbridge.translate.mapping_file import Head, compile_mapping, read_head
from fhirbridge.translate.mapping_file import Mapping as OneMapping
from fhirbridge.translate.overlays import Overlay
from fhirbridge.translate.skeletons import fragments
from fhirbridge.translate.skeletons.fragments import Fragment
from fhirbridge.translate.skeletons.skeleton import SkeletonCompiler
from fhirbridge.translate.source_types import tables_of, type_of
from fhirbridge.translate.tables import code_table, concept_maps, unit_table
from fhirbridge.translate.tables.code_table import CodeTable
from fhirbridge.translate.tables.concept_maps import ConceptMap
from fhirbridge.translate.tables.unit_table import UnitTable
from fhirbridge.translate.written import Written
from fhirbridge.translate.yaml_tree import Fields

T = TypeVar("T")

FORMAT = "1"
FHIR = "4.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files of a set as they lie in its folder: what is compiled, kept and compared.

    `by_name` is "resources/patient.yaml" -> bytes; `root` is what messages call the folder.
    """

    by_name: Mapping[str, bytes]
    root: str = "mappings"

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents, each with its length before it."""
        total = hashlib.sha256()
        for name in sorted(self.by_name):
            for part in (name.encode("utf-8"), self.by_name[name]):
                total.update(len(part).to_bytes(8, "big") + part)
        return total.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSet:
    """All mappings, compiled against one record schema; threads may share it."""

    digest: str  # of all its files
    overlay: str  # the one that is applied; "" for the mappings as they stand
    overlays: tuple[str, ...]  # those there are
    traced: bool  # whether a translation says where each element comes from
    mappings: tuple[OneMapping, ...]  # by name
    source: SourceField
    slots: int  # names that a frame must have room for
    codes: CodeTable
    units: UnitTable
    maps: Mapping[str, ConceptMap]
    written: tuple[Written, ...]  # each element and each question, in the order of the files

    @property
    def read(self) -> frozenset[str]:
        """The fields of the record that something reads: "vitals.spo2.value", without index."""
        return frozenset(path for one in self.written for path in one.noted.reads)


def load(folder: Path, source: SourceField, overlay: str = "") -> MappingSet:
    """Read a folder and check all of it, each overlay too; return the set with one of them.

    Raises MappingError with every mistake in it.
    """
    faults = Faults()
    loader = _Loader(_files_of(folder, faults), source, faults)
    return _unless_faulty(loader, faults, loader.all())[loader.known(overlay)]


def read(folder: Path) -> Files:
    """Read the files of a folder. Raises MappingError where one is missing or strange."""
    faults = Faults()
    files = _files_of(folder, faults)
    if faults.found:
        raise MappingError(faults.found)
    return files


def compile_set(
    files: Files, source: SourceField, overlay: str = "", *, traced: bool = True
) -> MappingSet:
    """Compile files that were read before, with one overlay or none.

    Other overlays are only read and applied: `compile_all` checks them too. Untraced it is faster,
    for bulk work: the same resources, without their why. Raises MappingError.
    """
    faults = Faults()
    loader = _Loader(files, source, faults)
    return _unless_faulty(loader, faults, loader.one(loader.known(overlay), traced=traced))


def compile_all(
    files: Files, source: SourceField, *, traced: bool = True
) -> Mapping[str, MappingSet]:
    """Compile files without an overlay ("") and with each of theirs.

    Raises MappingError with every mistake in them.
    """
    faults = Faults()
    loader = _Loader(files, source, faults)
    return MappingProxyType(_unless_faulty(loader, faults, loader.all(traced=traced)))


def _files_of(folder: Path, faults: Faults) -> Files:
    return Files(by_name=MappingProxyType(mapping_folder.read(folder, faults)), root=folder.name)


def _unless_faulty(loader: "_Loader", faults: Faults, made: T) -> T:
    if faults.found:
        raise MappingError(fault for fault in faults.found if not loader.follows(fault))
    return made


class _Loader:
    """One load: from files to trees, tables, overlays, heads, mappings."""

    def __init__(self, files: Files, source: SourceField, faults: Faults) -> None:
        self._root = files.root
        self._files = files.by_name
        self._digest = files.digest
        self._source = source
        self._faults = faults
        self._unread: set[str] = set()
        self._partial: set[str] = set()  # overlays of which a part could not be applied
        self._trees = self._parse()
        self._check_format()
        self._overlays = self._read_overlays()
        self._variants = self._apply_overlays()
        self._world, self._pieces = self._tables()
        self._check_uses()

    def all(self, *, traced: bool = True) -> dict[str, MappingSet]:
        """Compile the set without an overlay and with each of them."""
        names = ("", *sorted(self._overlays))
        return {name: self.one(name, traced=traced) for name in names}

    def one(self, overlay: str, *, traced: bool = True) -> MappingSet:
        """Compile the set with one overlay, or with none ("")."""
        faults = Faults()
        trees = self._variants[overlay]
        heads = self._heads(trees, faults)
        keyspaces = reference_graph.keyspaces_of(heads, faults)
        world = replace(self._world, keyspaces=keyspaces, traced=traced)
        slots = Slots()
        mappings, said = self._compile(heads, world, slots, faults)
        reference_graph.refuse_circles(mappings, faults)
        self._note(faults, overlay)
        return MappingSet(
            digest=self._digest,
            overlay=overlay,
            overlays=tuple(sorted(self._overlays)),
            traced=traced,
            mappings=tuple(mappings),
            source=self._source,
            slots=slots.count,
            codes=world.codes,
            units=world.units,
            maps=MappingProxyType(dict(world.maps)),
            written=said,
        )

    def follows(self, fault: Fault) -> bool:
        """Tell whether a mistake only follows from another: in a `let`, or in a whole file."""
        needed = fault.needs
        if needed == A_LET:
            return True
        if needed.endswith("/"):
            return any(name.startswith(needed) for name in self._unread)
        return bool(needed) and needed in self._unread

    def _parse(self) -> dict[str, Fields]:
        trees: dict[str, Fields] = {}
        for name in self._files:
            if name.endswith(".yaml"):
                with self._reading(name):
                    trees[name] = yaml_tree.read(self._text(name), self._shown(name))
        self._unread |= {name for name in mapping_folder.NEEDED if name not in trees}
        return trees

    @contextmanager
    def _reading(self, name: str, faults: Faults | None = None) -> Iterator[None]:
        """Note the mistake for which a file cannot be read, and that it could not."""
        try:
            yield
        except FaultError as error:
            self._unread.add(name)
            (faults or self._faults).found.extend([error.fault, *error.more])

    def _shown(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _text(self, name: str) -> str:
        try:
            return self._files[name].decode("utf-8")
        except UnicodeDecodeError:
            raise FaultError("E200", Place(file=self._shown(name)), "not UTF-8") from None

    def _tree(self, name: str) -> Fields:
        """Return a file's tree.

        Or an empty one where the file is missing or broken, which is noted already.
        """
        return self._trees.get(name) or Fields(
            items={}, places={}, place=Place(file=self._shown(name))
        )

    def _in(self, folder: str) -> Iterable[tuple[str, Fields]]:
        prefix = f"{folder}/"
        for name, tree in self._trees.items():
            if name.startswith(prefix):
                yield name.removeprefix(prefix).removesuffix(".yaml"), tree

    def known(self, overlay: str) -> str:
        """Return the overlay's name, or note that there is none of that name."""
        if overlay in self._variants:
            return overlay
        if f"overlays/{overlay}.yaml" not in self._unread:
            place = Place(file=self._shown(f"overlays/{overlay}.yaml"))
            near = suggest(overlay, self._overlays)
            self._faults.add("E220", place, f"there is no overlay '{overlay}'{near}")
        return ""

    def _read_overlays(self) -> dict[str, Overlay]:
        found: dict[str, Overlay] = {}
        for name, tree in self._in("overlays"):
            before = len(self._faults.found)
            with self._reading(f"overlays/{name}.yaml"):
                found[name] = overlays.read(name, tree, self._faults)
            if len(self._faults.found) > before:
                self._partial.add(name)
        return found

    def _apply_overlays(self) -> dict[str, dict[str, Fields]]:
        """Return the trees of resources as they are without an overlay ("") and with each."""
        trees = dict(self._in("resources"))
        plain = {name: tree for name, tree in trees.items() if not overlays.is_optional(tree)}
        found = {"": plain}
        for name, overlay in self._overlays.items():
            before = len(self._faults.found)
            found[name] = overlays.applied(overlay, trees, self._faults)
            if len(self._faults.found) > before:
                self._partial.add(name)
        return found

    def _check_uses(self) -> None:
        """Note each fragment that nothing uses, and each optional mapping that no overlay adds."""
        used = {name for tree in self._trees.values() for name in fragments.used_in(tree)}
        for name in self._pieces.keys() - used:
            self._note_idle(f"fragments/{name}.yaml", "E207", "no mapping uses this fragment")
        added = {node.text for overlay in self._overlays.values() for node in overlay.add}
        for name, tree in self._in("resources"):
            if overlays.is_optional(tree) and name not in added:
                self._note_idle(f"resources/{name}.yaml", "E206", "no overlay adds this mapping")

    def _note_idle(self, name: str, code: str, message: str) -> None:
        """Note that a file is used nowhere, unless the file that uses it could not be read."""
        needs = "overlays/" if name.startswith("resources/") else "resources/"
        with self._faults.caught():
            raise FaultError(code, Place(file=self._shown(name)), message, needs=needs)

    def _note(self, faults: Faults, overlay: str) -> None:
        """Take over what was found in one variant; of another file say with which overlay."""
        own = self._shown(f"overlays/{overlay}.yaml")
        for fault in faults.found:
            if not overlay or fault.place.file == own:
                self._faults.found.append(fault)
            elif overlay not in self._partial and fault not in self._faults.found:
                message = f"{fault.message} (with the overlay '{overlay}')"
                self._faults.found.append(replace(fault, message=message))

    def _check_format(self) -> None:
        if "fhirbridge.yaml" not in self._trees:
            return
        tree = self._trees["fhirbridge.yaml"]
        code_table.refuse_keys(tree, ("format", "fhir", "note"), self._faults, "E219")
        for key, wanted in (("format", FORMAT), ("fhir", FHIR)):
            with self._faults.caught():
                node = tree.items.get(key)
                if yaml_tree.text_of(node, f"'{key}'", tree.place, code="E219") != wanted:
                    at = node.place if node else tree.place
                    raise FaultError(
                        "E219", at, f"'{key}' must be {wanted}: it is what this version reads"
                    )

    def _tables(self) -> tuple[World, dict[str, Fragment]]:
        faults, quiet = self._faults, Faults()
        codes_faults = quiet if "codes.yaml" in self._unread else faults
        units_faults = quiet if "units.yaml" in self._unread else faults
        codes = code_table.load(self._tree("codes.yaml"), codes_faults)
        units = unit_table.load(self._tree("units.yaml"), codes, units_faults)
        maps: dict[str, ConceptMap] = {}
        for name, tree in self._in("conceptmaps"):
            with self._reading(f"conceptmaps/{name}.yaml"):
                maps[name] = concept_maps.load(
                    name, tree, codes=codes, source=self._source, faults=faults
                )
        pieces: dict[str, Fragment] = {}
        for name, tree in self._in("fragments"):
            with self._reading(f"fragments/{name}.yaml"):
                pieces[name] = fragments.load(name, tree, faults)
        texts = self._documents()
        papers = templates.load(texts, maps=maps, units=units, faults=faults)
        self._unread |= {f"documents/{name}.html" for name in texts if name not in papers.by_name}
        tables = tables_of(self._source)
        world = World(
            codes=codes, units=units, maps=maps, documents=papers, tables=tables, keyspaces={}
        )
        return world, pieces

    def _documents(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for name in self._files:
            if name.startswith("documents/"):
                with self._reading(name):
                    own = name.removeprefix("documents/").removesuffix(".html")
                    found[own] = (self._shown(name), self._text(name))
        return found

    def _heads(self, trees: Mapping[str, Fields], faults: Faults) -> list[Head]:
        heads = []
        for name, tree in trees.items():
            with self._reading(f"resources/{name}.yaml", faults):
                heads.append(read_head(name, tree, faults))
        return heads

    def _compile(
        self, heads: list[Head], world: World, slots: Slots, faults: Faults
    ) -> tuple[list[OneMapping], tuple[Written, ...]]:
        skeletons = SkeletonCompiler(world, self._pieces, faults)
        whole = replace(type_of(self._source), paths=("",))
        names = Names(record=whole, slots=slots, per_delivery=False)
        found = []
        for head in heads:
            with faults.caught():
                found.append(compile_mapping(head, names, skeletons))
        return sorted(found, key=lambda mapping: mapping.name), tuple(skeletons.written)
