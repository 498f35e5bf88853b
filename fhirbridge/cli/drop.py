"""`fhirbridge ingest FOLDER`: takes in what a system drops as files, and says beside what became.

The name of a file may be that of a patient: it is said nowhere else.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from fhirbridge.bridge import Bridge
from fhirbridge.cli import dropped, printing
from fhirbridge.cli.dropped import DONE, FAILED, Folder, Look
from fhirbridge.cli.opened import ACTOR
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.intake.once import Message
from fhirbridge.records import flat
from fhirbridge.records.columns import ColumnMap
from fhirbridge.records.lines import lines

BY_LINES = (".ndjson", ".jsonl")
SCOPE = "folder"
CHUNK = 1 << 20
Items = Iterator[dict[str, Any]]


class Taker:
    """Takes the files of one folder in. `columns` reads CSV files; without, they are left alone."""

    def __init__(self, bridge: Bridge, columns: ColumnMap | None, *, most: int) -> None:
        self._bridge = bridge
        self._columns = columns
        self._most = most
        self._endings = (".json", *BY_LINES, *((".csv",) if columns else ()))

    def once(self, folder: Path, *, settle: float) -> tuple[int, int]:
        """Take in what lies there and does not change; return how many files, and how many failed.

        `settle`: seconds for which a file must not have changed. Raises FolderError, and what keeps
        the database from taking anything in.
        """
        with dropped.opened(folder) as here:
            before = here.look(self._endings)
            if before:
                self._bridge.clock.sleep(settle)
            settled = sorted(before & here.look(self._endings))
            good = [self._take(here, seen) for seen in settled]
        return len(good) - good.count(None), good.count(False)

    def forever(self, folder: Path, *, settle: float) -> None:
        """Look again and again, every `settle` seconds. Raises FolderError."""
        with dropped.opened(folder) as here:
            before: set[Look] = set()
            while True:
                now = here.look(self._endings)
                try:
                    for seen in sorted(before & now):
                        self._take(here, seen)
                except BridgeError as error:  # the database is busy or full: it stays for later
                    printing.words(f"{error.code} {error.message}")
                before = here.look(self._endings)
                self._bridge.clock.sleep(settle)

    def _take(self, here: Folder, seen: Look) -> bool | None:
        """Take one file in; say whether all of it was good, or None where it went or changed."""
        try:
            with here.reading(seen) as file:
                digest = _digest(file)
                is_good = self._write(here, seen, file)
        except FileNotFoundError:
            return None
        if not here.is_as_seen(seen):
            return None
        here.move(seen.name, DONE if is_good else FAILED, digest)
        return is_good

    def _write(self, here: Folder, seen: Look, file: BinaryIO) -> bool:
        count = refused = 0
        with here.writing_result(seen.name) as result:
            result.write(b'{"items":[')
            for item in self._items(seen, file):
                result.write((b"," if count else b"") + codec.encode(item))
                count += 1
                refused += item["state"] == "refused"
            numbers = f'],"accepted":{count - refused},"refused":{refused}}}\n'
            result.write(numbers.encode())
        return not refused

    def _items(self, seen: Look, file: BinaryIO) -> Items:
        if seen.name.endswith(BY_LINES):
            for number, raw in enumerate(lines(file, self._most), start=1):
                if raw is None or raw.strip():
                    yield {"line": number, **self._item(raw)}
        elif self._columns is not None and seen.name.endswith(".csv"):
            for record in flat.assemble(self._columns, [(seen.name, file.read())]):
                yield self._flat(record)
        else:
            raw = file.read(self._most + 1)
            yield self._item(raw if len(raw) <= self._most else None)

    def _item(self, raw: bytes | None) -> dict[str, Any]:
        if raw is None:
            return _refused("E000", f"it has more than {self._most} bytes")
        named = hashlib.sha256(raw).hexdigest()
        message = Message(scope=SCOPE, id=named, body=raw)
        return self._bridge.take_item(raw, actor=ACTOR, message=message)

    def _flat(self, record: flat.FlatRecord) -> dict[str, Any]:
        if record.findings or not record.session_id:
            found = [asdict(one) for one in record.findings]
            return {**_refused("R401", "cells that cannot be read"), "findings": found}
        item = self._item(codec.encode(record.document))
        for finding in item["findings"]:
            place = record.place(finding["pointer"])
            finding["message"] = f"{place}: {finding['message']}" if place else finding["message"]
        return item


def _refused(code: str, detail: str) -> dict[str, Any]:
    return {"state": "refused", "code": code, "detail": detail, "findings": []}


def _digest(file: BinaryIO) -> str:
    found = hashlib.sha256()
    while part := file.read(CHUNK):
        found.update(part)
    file.seek(0)
    return found.hexdigest()
