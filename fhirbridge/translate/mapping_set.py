"""A folder of mappings to one immutable, checked set with a digest.

All its mistakes are found together.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fhirbridge.records.source import SourceField
from fhirbridge.translate import yaml_tree
from fhirbridge.translate.documents import templates
from fhirbridge.translate.expressions.compiled import Names, Slots, World
from fhirbridge.translate.faults import Fault, FaultError, Faults, MappingError, Place
from fhirbridge.translate.mapping_file import Head, compile_mapping, read_head
from fhirbridge.translate.mapping_file import Mapping as OneMapping
from fhirbridge.translate.skeletons import fragments
from fhirbridge.translate.skeletons.fragments import Fragment
from fhirbridge.translate.skeletons.skeleton import SkeletonCompiler
from fhirbridge.translate.source_types import tables_of, type_of
from fhirbridge.translate.tables import code_table, concept_maps, unit_table
from fhirbridge.translate.tables.code_table import CodeTable
from fhirbridge.translate.tables.concept_maps import ConceptMap
from fhirbridge.translate.tables.unit_table import UnitTable
from fhirbridge.translate.yaml_tree import Fields

FORMAT = "1"
FHIR = "4.0.1"
_FOLDERS = {
    "resources": ".yaml",
    "conceptmaps": ".yaml",
    "fragments": ".yaml",
    "documents": ".html",
}
_FILES = ("fhirbridge.yaml", "codes.yaml", "units.yaml")
LARGEST_FILE = 1_000_000


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
    mappings: tuple[OneMapping, ...]  # by name
    source: SourceField
    slots: int  # names that a frame must have room for
    codes: CodeTable
    units: UnitTable
    maps: Mapping[str, ConceptMap]


def load(folder: Path, source: SourceField) -> MappingSet:
    """Read and compile a folder. Raises MappingError with every mistake in it."""
    faults = Faults()
    return _compile(_read(folder, faults), source, faults)


def read(folder: Path) -> Files:
    """Read the files of a folder. Raises MappingError where one is missing or strange."""
    faults = Faults()
    files = _read(folder, faults)
    if faults.found:
        raise MappingError(faults.found)
    return files


def compile_set(files: Files, source: SourceField) -> MappingSet:
    """Compile files that were read before. Raises MappingError with every mistake in them."""
    return _compile(files, source, Faults())


def _compile(files: Files, source: SourceField, faults: Faults) -> MappingSet:
    loader = _Loader(files, source, faults)
    made = loader.load()
    if faults.found:
        raise MappingError(fault for fault in faults.found if not loader.follows(fault))
    return made


def _read(folder: Path, faults: Faults) -> Files:
    """Read the files of a set; what lies there and would be passed over is noted."""
    found: dict[str, bytes] = {}
    for name in _FILES:
        path = folder / name
        if path.is_file():
            _take(found, path, name, faults, folder.name)
        else:
            faults.add("E219", Place(file=f"{folder.name}/{name}"), "the file is missing")
    for inner, ending in _FOLDERS.items():
        for path in sorted((folder / inner).glob("*")) if (folder / inner).is_dir() else ():
            name = f"{inner}/{path.name}"
            if path.name.startswith((".", "__")):
                continue
            if path.suffix != ending or not path.is_file():
                place = Place(file=f"{folder.name}/{name}")
                faults.add("E219", place, f"in {inner}/ only files that end in {ending} are read")
                continue
            _take(found, path, name, faults, folder.name)
    return Files(by_name=MappingProxyType(found), root=folder.name)


def _take(found: dict[str, bytes], path: Path, name: str, faults: Faults, root: str) -> None:
    raw = path.read_bytes()
    if len(raw) > LARGEST_FILE:
        faults.add("E219", Place(file=f"{root}/{name}"), f"larger than {LARGEST_FILE} bytes")
        return
    found[name] = raw


class _Loader:
    """One load: from files to trees, tables, heads, mappings."""

    def __init__(self, files: Files, source: SourceField, faults: Faults) -> None:
        self._root = files.root
        self._files = files.by_name
        self._digest = files.digest
        self._source = source
        self._faults = faults
        self._unread: set[str] = set()
        self._trees = self._parse()

    def load(self) -> MappingSet:
        self._check_format()
        world, pieces = self._world()
        heads = self._heads()
        world = World(
            codes=world.codes,
            units=world.units,
            maps=world.maps,
            documents=world.documents,
            tables=world.tables,
            keyspaces=self._keyspaces(heads),
        )
        slots = Slots()
        mappings = self._compile(heads, world, pieces, slots)
        return MappingSet(
            digest=self._digest,
            mappings=tuple(mappings),
            source=self._source,
            slots=slots.count,
            codes=world.codes,
            units=world.units,
            maps=MappingProxyType(dict(world.maps)),
        )

    def follows(self, fault: Fault) -> bool:
        """Tell whether a mistake only follows from a file that could not be read at all."""
        needed = fault.needs
        if needed.endswith("/"):
            return any(name.startswith(needed) for name in self._unread)
        return bool(needed) and needed in self._unread

    def _parse(self) -> dict[str, Fields]:
        trees: dict[str, Fields] = {}
        for name in self._files:
            if name.endswith(".yaml"):
                with self._reading(name):
                    trees[name] = yaml_tree.read(self._text(name), self._shown(name))
        self._unread |= {name for name in _FILES if name not in trees}
        return trees

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Note the mistake for which a file cannot be read, and that it could not."""
        try:
            yield
        except FaultError as error:
            self._unread.add(name)
            self._faults.found += [error.fault, *error.more]

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

    def _world(self) -> tuple[World, dict[str, Fragment]]:
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

    def _heads(self) -> list[Head]:
        heads = []
        for name, tree in self._in("resources"):
            with self._reading(f"resources/{name}.yaml"):
                heads.append(read_head(name, tree, self._faults))
        return heads

    def _keyspaces(self, heads: list[Head]) -> dict[str, dict[str, int]]:
        """Return type -> keyspace -> number of key parts; a keyspace has one number, one scope."""
        found: dict[str, dict[str, int]] = {}
        first: dict[tuple[str, str], Head] = {}
        for head in heads:
            found.setdefault(head.target, {}).setdefault(head.keyspace, len(head.key))
            other = first.setdefault((head.target, head.keyspace), head)
            own = f"the keyspace '{head.keyspace}' of {head.target} is also that of '{other.name}'"
            if len(other.key) != len(head.key):
                message = f"{own}, whose key has {len(other.key)} part(s)"
                self._faults.add("E217", head.tree.items["key"].place, message)
            if other.scope is not head.scope:
                message = f"{own}, whose scope is {other.scope}"
                self._faults.add("E217", head.tree.items["scope"].place, message)
        return found

    def _compile(
        self, heads: list[Head], world: World, pieces: dict[str, Fragment], slots: Slots
    ) -> list[OneMapping]:
        skeletons = SkeletonCompiler(world, pieces, self._faults)
        names = Names(record=type_of(self._source), slots=slots, per_delivery=False)
        found = []
        for head in heads:
            with self._faults.caught():
                found.append(compile_mapping(head, names, skeletons))
        for name in pieces.keys() - skeletons.used:
            place = Place(file=self._shown(f"fragments/{name}.yaml"))
            self._faults.add("E207", place, "no mapping uses this fragment")
        return sorted(found, key=lambda mapping: mapping.name)
