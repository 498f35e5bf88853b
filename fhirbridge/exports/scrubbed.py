"""Writes an export whose identifiers are gone: no index, no times, in an order of its own."""

from collections import Counter
from dataclasses import replace

from fhirbridge.exports import elements
from fhirbridge.exports.holdings import Holdings
from fhirbridge.exports.question import Form, Question
from fhirbridge.exports.scrub import Identifiers, Scrub
from fhirbridge.exports.writing import ELEMENTS, ByType
from fhirbridge.fhir import codec
from fhirbridge.overview.folder import Folder

README = "README.txt"
SAID = {
    Identifiers.SAFE_HARBOR: """\
De-identified by the method of 45 CFR 164.514(b)(2) (Safe Harbor).
Dates are years. A birthDate that is "masked" is of somebody who is 90 or older; dates further back
than 89 years are left out. Of addresses, state and the first three digits of the ZIP code are left,
000 where few people live. Ids were made for this package and are nowhere written down.
What stays is listed by element; a text or a code stays only where it is a word of the mapping
files. A number stays as it is. Who uses it must not know of a way to identify anybody by it.
""",
    Identifiers.LIMITED: """\
A LIMITED DATA SET (45 CFR 164.514(e)): it is protected health information. It may be used for
research, public health or health care operations only, and only under a data use agreement.
Dates of each patient are moved back by 1 to 365 days, all of one patient by as many. City, state
and ZIP code are as they were. Names, contacts, numbers, notes and ids are not in it; ids were made
for this package.
""",
    Identifiers.MASKED: """\
MASKED, NOT DE-IDENTIFIED: it is protected health information.
Names and texts that somebody may have typed are covered, ids were made for this package. Dates,
cities and ZIP codes are as they were, and may say who it is.
""",
}


class ScrubbedWriting:
    """Writes what may stay of each resource, chart by chart; one chart is in memory."""

    def __init__(self, out: Folder, holdings: Holdings, question: Question, scrub: Scrub) -> None:
        """Write into `out` what `holdings` has."""
        self._out = out
        self._holdings = holdings
        self._question = question
        self._scrub = scrub
        self._files = ByType(out)
        self.counts: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()  # resources of types of which nothing may stay
        self.records: set[str] = set()  # named nowhere
        self.deliveries: set[str] = set()
        self.sets: set[str] = set()
        self.withheld = holdings.gate.withheld
        self.erased = 0
        self.dangling = 0
        self.charts = 0

    def write(self) -> None:
        """Write every chart that may be read."""
        self._out.write(README, SAID[self._scrub.kind].encode())
        rows = self._out.begin(ELEMENTS) if Form.CSV in self._question.forms else None
        if rows is not None:
            rows.add(elements.HEAD)
        for lane in sorted(self._holdings.lanes(), key=self._scrub.order):
            for kind, line in self._chart(lane):
                self._files.add(kind, line)
                self.counts[kind] += 1
                if rows is not None:
                    for one in elements.rows(codec.decode_own(line)):
                        rows.add(one)
        self._files.end()
        if rows is not None:
            self._out.end(rows)
        self.erased = self._holdings.erased

    def _chart(self, lane: str) -> list[tuple[str, bytes]]:
        self.charts += 1
        kept: list[tuple[str, bytes]] = []
        own = replace(self._question, patient=lane, identifiers=None)
        for _, chosen in self._holdings.charts(own):
            for held in chosen:
                self.sets.add(held.row.set_digest)
                body = self._scrub.resource(held.body, lane)
                if body is None:
                    self.left_out[held.row.type] += 1
                else:
                    kept.append((held.row.type, codec.encode(body)))
        return sorted(kept)
