"""The mapping set that translates: the one last made live, kept whole in the database.

A folder of mappings is a draft. What is edited there changes nothing until it is made live.
"""

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.store.tables import mapping_set
from fhirbridge.translate.faults import MappingError
from fhirbridge.translate.mapping_folder import is_name
from fhirbridge.translate.mapping_set import Files, MappingSet

LIVE = "live"
REFUSED = "refused"
RELOAD = "fhirbridge map reload"

Compile = Callable[[Files, str], MappingSet]


class NotLiveError(BridgeError):
    """No mapping set is live, or what is kept of it is not what was made live."""

    code = "E804"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class Variants:
    """One live set: each overlay of it is compiled once, when it is first asked for."""

    def __init__(self, files: Files, compile_one: Compile) -> None:
        self.files = files
        self.digest = files.digest
        self._compile = compile_one
        self._made: dict[str, MappingSet] = {}
        self._lock = threading.Lock()

    @property
    def base(self) -> MappingSet:
        """The set without any overlay. Raises NotLiveError."""
        return self.of("")

    def of(self, overlay: str) -> MappingSet:
        """Return the set with one overlay ("" for none).

        Raises NotLiveError where this version of the program cannot compile what another one could.
        """
        with self._lock:
            if overlay not in self._made:
                try:
                    self._made[overlay] = self._compile(self.files, overlay)
                except MappingError as error:
                    said = f"the live mappings do not fit this version: {error.message}"
                    raise NotLiveError(said, hint=f"run: {RELOAD}") from error
            return self._made[overlay]


class LiveSet:
    """Finds what is live; keeps the last one compiled, so that threads share it."""

    def __init__(self, compile_one: Compile) -> None:
        self._compile = compile_one
        self._known: Variants | None = None

    def current(self, tx: Connection) -> Variants:
        """Return what translates now. Who has it keeps it to the end of his work.

        Raises NotLiveError.
        """
        row = _newest(tx, LIVE)
        if row is None:
            raise _none()
        known = self._known
        if known is None or known.digest != row.digest:
            known = Variants(_opened(tx, row), self._compile)
            self._known = known
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is live, and what was refused since. `mistakes` name files, lines and fields only."""

    digest: str
    since: str
    refused: str = ""  # digest of what was refused after it
    refused_at: str = ""
    mistakes: tuple[str, ...] = ()


def standing(tx: Connection) -> Standing:
    """Return how the mappings stand. Raises NotLiveError where none was ever made live."""
    live, refused = _newest(tx, LIVE), _newest(tx, REFUSED)
    if live is None:
        raise _none()
    if refused is None or refused.sequence < live.sequence:
        return Standing(digest=live.digest, since=live.at)
    return Standing(
        digest=live.digest,
        since=live.at,
        refused=refused.digest,
        refused_at=refused.at,
        mistakes=tuple(refused.mistakes.splitlines()),
    )


def live_digest(tx: Connection) -> str:
    """Return the digest of what is live, or "" where nothing is."""
    newest = _newest(tx, LIVE)
    return "" if newest is None else newest.digest


def make_live(tx: Connection, files: Files, *, at: str, actor: str) -> bool:
    """Let these files translate from now on; False where they do already, undamaged."""
    newest = _newest(tx, LIVE)
    if newest is not None and newest.digest == files.digest and _is_sound(tx, newest):
        return False
    _note(tx, files.digest, state=LIVE, at=at, actor=actor, files=_packed(files))
    return True


def note_refused(
    tx: Connection, files: Files, *, at: str, actor: str, mistakes: Sequence[str]
) -> None:
    """Remember that these files were not made live, and why."""
    lines = "\n".join(" ".join(line.split()) for line in mistakes)
    _note(tx, files.digest, state=REFUSED, at=at, actor=actor, mistakes=lines)


def find(tx: Connection, digest: str) -> Files | None:
    """Return a set that was live once, by its digest: what explains a resource of its time."""
    chosen = select(mapping_set).where(mapping_set.c.digest == digest, mapping_set.c.state == LIVE)
    row = tx.execute(chosen.order_by(mapping_set.c.sequence.desc()).limit(1)).one_or_none()
    return None if row is None else _opened(tx, row)


def _note(tx: Connection, digest: str, *, state: str, at: str, actor: str, **more: Any) -> None:
    last = tx.scalar(select(func.max(mapping_set.c.sequence))) or 0
    values = {"mistakes": "", "files": b"", **more}
    tx.execute(
        insert(mapping_set).values(
            sequence=last + 1, digest=digest, state=state, at=at, actor=actor, **values
        )
    )


def _newest(tx: Connection, state: str) -> Row[Any] | None:
    columns = [column for column in mapping_set.c if column.name != "files"]
    chosen = select(*columns).where(mapping_set.c.state == state)
    return tx.execute(chosen.order_by(mapping_set.c.sequence.desc()).limit(1)).one_or_none()


def _packed(files: Files) -> bytes:
    texts = {name: raw.decode("utf-8") for name, raw in files.by_name.items()}
    return zlib.compress(codec.canonical(texts))


def _is_sound(tx: Connection, row: Row[Any]) -> bool:
    try:
        _opened(tx, row)
    except NotLiveError:
        return False
    return True


def _opened(tx: Connection, row: Row[Any]) -> Files:
    packed = tx.scalar(select(mapping_set.c.files).where(mapping_set.c.sequence == row.sequence))
    try:
        texts = codec.decode(zlib.decompress(packed or b""))
        files = Files(by_name={name: text.encode("utf-8") for name, text in texts.items()})
    except (zlib.error, codec.NotJsonError, AttributeError, UnicodeEncodeError) as error:
        raise _changed() from error
    # A name is where a file will be written, so none may lead out of its folder.
    if files.digest != row.digest or not all(map(is_name, files.by_name)):
        raise _changed()
    return files


def _none() -> NotLiveError:
    return NotLiveError("no mapping set is live", hint=f"run: {RELOAD}")


def _changed() -> NotLiveError:
    return NotLiveError(
        "the live mapping set in the database is not what was made live",
        hint=f"restore the database from its backup, or run: {RELOAD}",
    )
