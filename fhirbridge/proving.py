"""What proves what happened: places in the log, checkpoints, keys, a copy of the whole log."""

from datetime import datetime
from pathlib import Path

from fhirbridge import log
from fhirbridge.audit import checkpoints, places
from fhirbridge.audit.checkpoints import Signed, SigningKey, SigningKeyError
from fhirbridge.audit.log import LEAF_FIELDS, Action, leaf_hash
from fhirbridge.audit.notes import Verifier
from fhirbridge.house import House
from fhirbridge.overview import proof
from fhirbridge.overview.proof import Exported
from fhirbridge.store import moment


class Proving(House):
    """Everything about the evidence log that a door may ask for."""

    def keep_evidence(self) -> None:
        """Give new rows their places, a few at a time; sign a checkpoint where one is due.

        Where the key is missing the rows get their places, and the log says so.
        """
        with self._store.begin() as tx:
            places.give(tx)
            due = self._checkpoints.is_due(tx, self.clock.now())
        if due:
            try:
                self.checkpoint()
            except SigningKeyError as error:
                log.get().error("evidence.unsigned", code=error.code)

    def checkpoint(self) -> Signed:
        """Sign what the log holds now. Raises SigningKeyError."""
        with self._store.begin() as tx:
            return self._checkpoints.make(tx, self.clock.now())

    def checkpoints(self) -> list[Signed]:
        """Return every checkpoint, the oldest first."""
        with self._store.read() as tx:
            return checkpoints.every(tx)

    def evidence_keys(self) -> list[SigningKey]:
        """Return every key that ever signed, the oldest first."""
        with self._store.read() as tx:
            return checkpoints.keys(tx)

    def signs_with(self, seed: bytes) -> bool:
        """Say whether this key is the one that signs now."""
        with self._store.read() as tx:
            return self._checkpoints.is_of(tx, seed)

    def rotate_evidence_key(self, new: bytes, *, lost: bool, actor: str) -> Verifier:
        """Let a new key sign from now on. Raises SigningKeyError."""
        with self._store.begin() as tx:
            made = self._checkpoints.rotate(tx, self.clock.now(), new, lost=lost)
            outcome = "lost" if lost else "rotated"
            self._note(tx, actor, Action.EVIDENCE_KEY, outcome=outcome, detail={"key": made.id})
        return made

    def compromise_evidence_key(self, key_id: str, since: datetime, *, actor: str) -> None:
        """Note since when somebody else may have a key. Raises SigningKeyError."""
        at = moment.to_text(since)
        with self._store.begin() as tx:
            checkpoints.note_compromise(tx, key_id, at)
            detail = {"key": key_id, "since": at}
            self._note(tx, actor, Action.EVIDENCE_KEY, outcome="compromised", detail=detail)

    def export_evidence(self, target: Path, *, actor: str) -> Exported:
        """Write the whole log, without payloads, into a new folder; noted before.

        Raises FolderError or SigningKeyError; then nothing is there.
        """
        with self._store.begin() as tx:
            self._note(tx, actor, Action.EVIDENCE_EXPORTED)
            signed = self._checkpoints.make(tx, self.clock.now())
        with self._store.read() as tx:
            made_at = moment.to_text(self.clock.now())
            return proof.export(tx, target, signed, self._checkpoints, made_at=made_at)

    def damaged_evidence(self) -> str:
        """Name the first row that is not as it was when it got its place, or ""."""
        with self._store.read() as tx:
            last = checkpoints.latest(tx)
            until = places.size(tx)
            found = places.damage(
                tx,
                lambda row: leaf_hash(row.salt, {f: getattr(row, f) for f in LEAF_FIELDS}),
                until,
            )
            if not found and last is not None and last.size > until:
                return f"row number {until} is missing: the end of the log was cut off"
            return found
