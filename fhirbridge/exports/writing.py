"""Writes the resources of an export into a folder: NDJSON by type, an index, and other forms."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

from fhirbridge.exports import bundles, elements, notes
from fhirbridge.exports.holdings import Held, Holdings
from fhirbridge.exports.question import Form, Question
from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.overview.folder import Folder, Rows

INDEX = "index.ndjson"
ELEMENTS = "elements.csv"
MOST_ROWS = 100_000  # of one file
MOST_BYTES = 100_000_000
INDEXED = ("type", "resource_id", "record_id", "record_version", "purpose", "mapping")
INDEXED_TOO = ("set_digest", "as_of", "ehr_id", "ehr_version", "delivered_at")


class ByType:
    """NDJSON files of resources by type, each of so many lines and bytes at most."""

    def __init__(self, out: Folder) -> None:
        self._out = out
        self._open: dict[str, Rows] = {}
        self._begun: Counter[str] = Counter()

    def add(self, kind: str, line: bytes) -> Rows:
        """Write one resource; return the file, of which it is the last line."""
        rows = self._open.get(kind)
        if rows is not None and (rows.count >= MOST_ROWS or rows.size >= MOST_BYTES):
            self._out.end(rows)
            rows = None
        if rows is None:
            self._begun[kind] += 1
            rows = self._out.begin(f"resources/{kind}.{self._begun[kind]:03}.ndjson")
            self._open[kind] = rows
        rows.add(line + b"\n")
        return rows

    def end(self) -> None:
        """Say that no more comes."""
        for rows in self._open.values():
            self._out.end(rows)


class Writing:
    """Writes each chosen resource once; keeps of what it wrote names alone, and one chart."""

    def __init__(self, out: Folder, holdings: Holdings, question: Question, base: str) -> None:
        """Write into `out`; `base` is the server under which Bundles name what they hold."""
        self._out = out
        self._holdings = holdings
        self._question = question
        self._base = base
        self._index = out.begin(INDEX)
        self._elements = out.begin(ELEMENTS) if Form.CSV in question.forms else None
        self._files = ByType(out)
        self._shared: dict[Identity, Held] = {}  # of no patient: a clinic's own, few
        self.counts: Counter[str] = Counter()
        self.records: set[str] = set()
        self.deliveries: set[str] = set()
        self.sets: set[str] = set()
        self.withheld = holdings.gate.withheld
        self.erased = 0
        self.newest = ""  # when what came last came to be there
        self.dangling = 0  # references to what is not in the export
        self.charts = 0

    def write(self) -> None:
        """Write all that is chosen, and what it points to."""
        if self._elements is not None:
            self._elements.add(elements.HEAD)
        for lane, chosen in self._holdings.charts():
            self._chart(lane, chosen)
        self._files.end()
        self._out.end(self._index)
        if self._elements is not None:
            self._out.end(self._elements)
        self.erased, self.newest = self._holdings.erased, self._holdings.newest()

    def _chart(self, lane: str, chosen: Iterator[Held]) -> None:
        keeps = bool(self._question.forms & {Form.TRANSACTION, Form.COLLECTION, Form.DOCUMENT})
        there: set[Identity] = set()
        named: set[Identity] = set()
        chart: list[Held] = []
        for held in self._with_named(lane, chosen, there, named):
            if held.row.lane == SHARED_LANE:
                if held.identity not in self._shared:
                    self._shared[held.identity] = held
                    self._write(held)
            else:
                self._write(held)
            if keeps:
                chart.append(held)
        if self._question.follows:
            self.dangling += len(named - there)
        if chart and lane != SHARED_LANE:
            self._bundles(chart)
        self.charts += lane != SHARED_LANE

    def _with_named(
        self, lane: str, chosen: Iterator[Held], there: set[Identity], named: set[Identity]
    ) -> Iterator[Held]:
        """Yield what is chosen of a chart, then what these point to, and what that points to."""
        asked: set[Identity] = set()
        following = chosen
        while True:
            for held in following:
                there.add(held.identity)
                named |= held.named
                yield held
            wanted = named - there - asked if self._question.follows else set()
            if not wanted:
                return
            asked |= wanted
            kept = [self._shared[one] for one in sorted(wanted & self._shared.keys())]
            following = chain(kept, self._holdings.named(lane, wanted - self._shared.keys()))

    def _write(self, held: Held) -> None:
        row, line = held.row, held.raw
        rows = self._files.add(row.type, line)
        said = {name: getattr(row, name) for name in (*INDEXED, *INDEXED_TOO)}
        place = {"file": rows.name, "line": rows.count, "sha256": hashlib.sha256(line).hexdigest()}
        self._index.add(codec.encode({**place, **said, "delivery": held.delivery}) + b"\n")
        if self._elements is not None:
            for one in elements.rows(held.body):
                self._elements.add(one)
        if Form.NOTES in self._question.forms:
            for name, raw in notes.files(held.body):
                self._out.write(f"notes/{name}", raw)
        self.counts[row.type] += 1
        self.records.add(row.record_id)
        self.sets.add(row.set_digest)
        if held.delivery:
            self.deliveries.add(held.delivery)

    def _bundles(self, chart: list[Held]) -> None:
        bodies = [one.body for one in chart]
        number = f"{self.charts + 1:06}"
        made: dict[str, dict[str, Any]] = {}
        if Form.TRANSACTION in self._question.forms:
            made[f"transaction.{number}.json"] = bundles.transaction(bodies, self._base)
        if Form.COLLECTION in self._question.forms:
            made[f"collection.{number}.json"] = bundles.collection(bodies, self._base)
        if Form.DOCUMENT in self._question.forms:
            for place, one in enumerate(bundles.documents(chart, self._base), 1):
                made[f"document.{number}.{place:04}.json"] = one
        for name, bundle in made.items():
            self._out.write(f"bundles/{name}", codec.canonical(bundle) + b"\n")
