"""The door of this room: one record and one mapping set to FHIR resources, each with its why.

Pure.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records.rules import withheld
from fhirbridge.translate import identity, why
from fhirbridge.translate.definitions import room
from fhirbridge.translate.faults import Place, a
from fhirbridge.translate.frame import Frame, RefusedError, places_in
from fhirbridge.translate.mapping_file import Each, Question
from fhirbridge.translate.mapping_file import Mapping as OneMapping
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.skeletons.rendering import MAX_ROWS
from fhirbridge.translate.values import Problem, Scope, Site, TranslatedResource, Translation, Why


class NotTranslatedError(BridgeError):
    """The Provenance of a delivery could not be made; `problems` says why."""

    code = "E400"

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        lines = [f"{problem.code} {problem.line} {problem.message}" for problem in problems]
        super().__init__("\n".join([message, *lines]), hint="mend the mapping of scope delivery")


def translate(record: Mapping[str, Any], *, mapping_set: MappingSet, site: Site) -> Translation:
    """Translate one checked record.

    What cannot be translated is in `problems`: then nothing may be sent. A set that is compiled
    untraced gives the same resources without `why`, `unmapped` and `empty`; its problems do not
    say from which field they come, and of several of one resource it may name only some.
    """
    whole = dict(record)
    own = withheld.may_leave(whole, mapping_set.source)
    work = _Work(own, mapping_set, site, {})
    for mapping in mapping_set.mappings:
        if mapping.scope is not Scope.DELIVERY:
            work.run(mapping)
    made = work.finish()
    if made.problems or not made.resources:  # of a record that stays, the rows say nothing either
        return made
    every = work if own is whole else _Work(whole, mapping_set, site, {})
    return replace(made, withdrawn=tuple(_withdrawn(every, mapping_set, made)))


def _withdrawn(
    every: "_Work", mapping_set: MappingSet, made: Translation
) -> Iterator[TranslatedResource]:
    """Name what visits share and this record speaks of without making it.

    A row that is there and makes nothing was labelled, or was wrong, or is now something else.
    """
    here = {(one.type, one.id) for one in made.resources}
    for mapping in mapping_set.mappings:
        if mapping.scope in (Scope.SERIES, Scope.PATIENT):
            for one in every.named(mapping):
                if (one.type, one.id) not in here:
                    yield one


def provenance(
    record: Mapping[str, Any],
    *,
    mapping_set: MappingSet,
    site: Site,
    targets: Sequence[str],
    delivery: str,
    recorded: str,
) -> TranslatedResource:
    """Make the Provenance of one delivery, about `targets` ("Patient/abc").

    Raises NotTranslatedError.
    """
    run = {"targets": list(targets), "delivery": delivery, "recorded": recorded}
    own = withheld.may_leave(dict(record), mapping_set.source)
    work = _Work(own, mapping_set, site, run)
    for mapping in mapping_set.mappings:
        if mapping.scope is Scope.DELIVERY:
            work.run(mapping)
    if work.frame.problems or len(work.made) != 1:
        found = len(work.made)
        raise NotTranslatedError(f"a delivery has one Provenance, not {found}", work.frame.problems)
    return work.made[0]


class _Work:
    """One call: a frame, and what has been made so far."""

    def __init__(
        self, own: dict[str, Any], mapping_set: MappingSet, site: Site, run: Mapping[str, Any]
    ) -> None:
        context = {
            "site": site.host,
            "tenant": site.tenant,
            "set_digest": mapping_set.digest,
            **run,
        }
        self._set = mapping_set
        self.frame = Frame(
            record=own,
            site=site,
            run=context,
            places=places_in(own),
            slots=[None] * mapping_set.slots,
            traced=mapping_set.traced,
        )
        self.made: list[TranslatedResource] = []
        self._rows: dict[tuple[str, str], str] = {}  # (type, id) -> where it was made from
        self._ids: dict[str, str] = {}  # path of a row -> its id

    def run(self, mapping: OneMapping) -> None:
        """Make the resources of one mapping, one for each row."""
        frame = self.frame
        frame.mapping = mapping.name
        for count, rows in enumerate(self._rows_of(mapping)):
            if count >= MAX_ROWS:
                frame.refuse("E408", mapping.place, f"more than {MAX_ROWS} rows", ())
                return
            self._row(mapping, rows)

    def _rows_of(self, mapping: OneMapping) -> Iterator[tuple[str, ...]]:
        """Set the slots for each row, with its `let`s to be worked out anew."""
        for rows in self._each(mapping.each):
            for slot in mapping.lets:
                self.frame.slots[slot] = None
            yield rows

    def _each(self, levels: Sequence[Each]) -> Iterator[tuple[str, ...]]:
        """Set the slots for each combination of rows; yield the paths of its rows."""
        if not levels:
            yield ()
            return
        for row in levels[0].rows(self.frame) or []:
            self.frame.slots[levels[0].slot] = row
            path = self.frame.places.get(id(row), "")
            if path.endswith("]") and "id" in row:
                self._ids[path] = row["id"]
            for inner in self._each(levels[1:]):
                yield (path, *inner)

    def _row(self, mapping: OneMapping, rows: tuple[str, ...]) -> None:
        frame = self.frame
        before = (len(frame.problems), len(frame.references), len(frame.empty))
        frame.path[:] = [mapping.target]
        frame.whys, frame.size = [], 0
        frame.refused.clear()
        try:
            self._make(mapping, rows, before[0])
        except RefusedError as error:
            frame.refuse(error.code, mapping.place, error.message, rows[-1:])
        if len(frame.problems) > before[0]:
            del frame.references[before[1] :]
        frame.path.clear()
        frame.passed.extend(frame.reads)
        frame.reads.clear()
        frame.rules.clear()

    def _make(self, mapping: OneMapping, rows: tuple[str, ...], problems: int) -> None:
        frame = self.frame
        if mapping.when is not None and mapping.when.run(frame) is not True:
            return
        self._require(mapping.requires, rows)
        key = [
            self._asked(part, "E403", "a part of the key is empty", rows) for part in mapping.key
        ]
        as_of = self._asked(mapping.as_of, "E411", "there is no time for as_of", rows)
        body = mapping.body(frame)
        if body is None and len(frame.problems) == problems:
            frame.refuse("E401", mapping.place, "the whole resource is empty", rows[-1:])
        if len(frame.problems) > problems:
            return
        own = identity.resource_id(frame.site, mapping.target, mapping.keyspace, *key)
        if self._is_new(mapping, own, rows):
            self.made.append(self._finished(mapping, own, body, as_of, rows))

    def _require(self, requires: Sequence[Question], rows: tuple[str, ...]) -> None:
        for check in requires:
            start = len(self.frame.passed)
            if check.run(self.frame) is False:
                sources = self.frame.paths_of(self.frame.passed[start:])
                self.frame.refuse("E402", check.place, check.message, sources or rows[-1:])

    def _asked(self, question: Question, code: str, message: str, rows: tuple[str, ...]) -> Any:
        before = len(self.frame.problems)
        value = question.run(self.frame)
        if value is None and len(self.frame.problems) == before:
            self.frame.refuse(code, question.place, message, rows[-1:])
        return value

    def _is_new(self, mapping: OneMapping, own: str, rows: tuple[str, ...]) -> bool:
        where = f"{' '.join(rows) or 'the whole record'} ({mapping.name})"
        first = self._rows.get((mapping.target, own))
        if first is None:
            self._rows[mapping.target, own] = where
            return True
        self.frame.refuse("E404", mapping.place, f"the same key as {first}", (where,))
        return False

    def _finished(
        self, mapping: OneMapping, own: str, body: dict[str, Any], as_of: str, rows: tuple[str, ...]
    ) -> TranslatedResource:
        whole = self._with_identity(mapping, own, body)
        return TranslatedResource(
            type=mapping.target,
            id=own,
            mapping=mapping.name,
            scope=mapping.scope,
            body=whole,
            content_hash=codec.content_hash(whole),
            as_of=as_of,
            row=self._row_name(rows),
            why=tuple(self.frame.whys),
        )

    def _with_identity(self, mapping: OneMapping, own: str, body: dict[str, Any]) -> dict[str, Any]:
        """Add resourceType, id and, where the type has one, the identifier that finds it again."""
        whole = {"resourceType": mapping.target, "id": own, **body}
        element = room(mapping.target).elements.get("identifier")
        if element is None:
            return whole
        given = {"system": f"https://{self.frame.site.host}/id/{mapping.keyspace}", "value": own}
        if element.many:
            whole["identifier"] = [given, *body.get("identifier", [])]
        else:
            whole.setdefault("identifier", given)
        return whole

    def _row_name(self, rows: tuple[str, ...]) -> str:
        """Return `vitals/v-03` for the outermost row; nothing where it is no row of a list."""
        if not rows or rows[0] not in self._ids:
            return ""
        return f"{rows[0].rpartition('[')[0]}/{self._ids[rows[0]]}"

    def named(self, mapping: OneMapping) -> Iterator[TranslatedResource]:
        """Name the resource of each row, whether or not the mapping would make it."""
        frame = self.frame
        for rows in self._rows_of(mapping):
            if not mapping.each and mapping.when is not None and not mapping.when.run(frame):
                continue
            key = [part.run(frame) for part in mapping.key]
            as_of = mapping.as_of.run(frame)
            if as_of is not None and None not in key:
                own = identity.resource_id(frame.site, mapping.target, mapping.keyspace, *key)
                yield TranslatedResource(
                    type=mapping.target,
                    id=own,
                    mapping=mapping.name,
                    scope=mapping.scope,
                    body={},
                    content_hash=codec.content_hash({}),
                    as_of=as_of,
                    row=self._row_name(rows),
                    why=(),
                )

    def finish(self) -> Translation:
        """Check the references and gather what was left."""
        self._check_references()
        frame = self.frame
        reads = [*frame.passed, *frame.reads]
        return Translation(
            resources=tuple(self.made),
            problems=tuple(frame.problems),
            set_digest=self._set.digest,
            unmapped=why.unmapped(frame.record, reads) if frame.traced else (),
            empty=tuple(dict.fromkeys(frame.empty)),
            record=frame.record,
        )

    def _check_references(self) -> None:
        """Note each reference to what this record does not make; the EHR would refuse it."""
        if self.frame.problems:
            return
        known = {(made.type, made.id) for made in self.made}
        for kind, own, at in self.frame.references:
            if (kind, own) not in known:
                self._note_dangling(kind, at)

    def _note_dangling(self, kind: str, at: Why) -> None:
        file, _, line = at.line.rpartition(":")
        named = file.rpartition("/")[2].removesuffix(".yaml")
        # What an overlay or a fragment writes stands in a file that is no mapping.
        owners = (made.mapping for made in self.made if any(one is at for one in made.why))
        self.frame.mapping = next(owners, named)
        place = Place(file=f"set/{file}", line=int(line))
        message = f"{at.target or 'it'} refers to {a(kind)} that this record does not make"
        self.frame.refuse("E410", place, message, at.sources)
