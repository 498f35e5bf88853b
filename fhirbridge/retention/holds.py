"""Legal holds: what a person said must be kept, whatever its time. Words of theirs are sealed."""

from collections.abc import Collection
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.audit.reasons import check
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records.history import Chart
from fhirbridge.rng import Rng, new_id
from fhirbridge.store.retention_tables import legal_hold
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import record


class HoldError(BridgeError):
    """A legal hold was placed without saying why or by whom, or there is none of that id."""

    code = "E249"
    http_status = HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What a person gives with a hold, or with its end: why, and who asked for it."""

    reason: str
    by: str

    def __post_init__(self) -> None:
        """Refuse silence. Raises HoldError, and ReasonError where it is no line of text."""
        if not self.reason or not self.by:
            raise HoldError("say why (--reason) and who asked for it (--by)")
        check(self.reason)
        check(self.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """Places and lifts holds in the caller's transaction."""

    audit: EvidenceLog
    vault: Vault
    rng: Rng

    def place(self, tx: Connection, chart: Chart, word: Word, *, at: str, actor: str) -> list[str]:
        """Hold a chart, or (sessions named) the chart as long as it has these; return hold ids.

        Raises HoldError where all of the chart was purged already.
        """
        self._refuse_purged(tx, chart)
        named = [("", session) for session in sorted(chart.sessions)] or [(chart.patient, "")]
        return [self._place(tx, *one, word, at=at, actor=actor) for one in named]

    def lift(self, tx: Connection, hold_id: str, word: Word, *, at: str, actor: str) -> None:
        """End one hold. Raises HoldError where there is none, or it was lifted before."""
        chosen = select(legal_hold).where(legal_hold.c.id == hold_id, legal_hold.c.lifted_at == "")
        row = tx.execute(chosen).one_or_none()
        if row is None:
            raise HoldError("no hold of this id is in force", hint="fhirbridge retention list")
        tx.execute(update(legal_hold).where(legal_hold.c.id == hold_id).values(lifted_at=at))
        self._note(tx, Action.HOLD_LIFTED, row.id, row.patient_key, word=word, actor=actor)

    def every(self, tx: Connection, *, words: bool) -> list[dict[str, Any]]:
        """Return all holds, the oldest first; with `words` why and by whom, which may be PHI."""
        rows = tx.execute(select(legal_hold).order_by(legal_hold.c.at, legal_hold.c.id)).all()
        return [
            {
                "id": row.id,
                "patient": row.patient_key,
                "session": row.session_key,
                "at": row.at,
                "actor": row.actor,
                "lifted_at": row.lifted_at,
                **(self._words(tx, row) if words else {}),
            }
            for row in rows
        ]

    def _place(
        self, tx: Connection, patient: str, session: str, word: Word, *, at: str, actor: str
    ) -> str:
        hold_id = new_id(self.rng)
        key = self.vault.new_key(tx, _owner(hold_id))
        said = codec.encode({"reason": word.reason, "by": word.by})
        values = {
            "id": hold_id,
            "patient_key": patient,
            "session_key": session,
            "at": at,
            "actor": actor,
            "lifted_at": "",
            "sealed": self.vault.seal(key, said, _owner(hold_id)),
        }
        tx.execute(insert(legal_hold), values)
        self._note(tx, Action.HOLD_PLACED, hold_id, patient, word=word, actor=actor)
        return hold_id

    def _note(
        self, tx: Connection, action: Action, hold_id: str, patient: str, *, word: Word, actor: str
    ) -> None:
        entry = Entry(
            actor=actor,
            action=action,
            detail={"hold": hold_id, "patient": patient},
            payload_owner=_owner(hold_id),
            payload=codec.encode({"reason": word.reason, "by": word.by}),
        )
        self.audit.append(tx, entry)

    def _words(self, tx: Connection, row: Any) -> dict[str, Any]:
        plain = self.vault.unseal(self.vault.key(tx, _owner(row.id)), row.sealed, _owner(row.id))
        result: dict[str, Any] = codec.decode(plain)
        return result

    def _refuse_purged(self, tx: Connection, chart: Chart) -> None:
        kept = select(record.c.id).where(
            record.c.patient_key == chart.patient, record.c.purged_at == ""
        )
        if chart.sessions:
            kept = kept.where(record.c.session_key.in_(chart.sessions))
        if tx.execute(kept.limit(1)).first() is None:
            raise HoldError("all of this was purged already; only its evidence is there")


def is_held(tx: Connection, patient: str, sessions: Collection[str]) -> bool:
    """Say whether a hold is in force for a patient, or for any of these sessions."""
    named: list[ColumnElement[bool]] = [legal_hold.c.session_key.in_(sessions)]
    if patient:
        named.append(legal_hold.c.patient_key == patient)
    chosen = select(legal_hold.c.id).where(legal_hold.c.lifted_at == "", or_(*named))
    return tx.execute(chosen.limit(1)).first() is not None


def lanes(tx: Connection) -> frozenset[str]:
    """Return the patients whose charts are on hold, be it for one of their sessions."""
    whole = select(legal_hold.c.patient_key).where(
        legal_hold.c.lifted_at == "", legal_hold.c.patient_key != ""
    )
    single = (
        select(record.c.patient_key)
        .join(legal_hold, legal_hold.c.session_key == record.c.session_key)
        .where(legal_hold.c.lifted_at == "")
    )
    return frozenset([*tx.scalars(whole), *tx.scalars(single)])


def _owner(hold_id: str) -> str:
    """Name the owner of the key that seals what was said."""
    return f"hold:{hold_id}"
