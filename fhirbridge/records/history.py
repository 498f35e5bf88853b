"""Append-only versions of session records: the newest is current, older ones are kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import quarantine, record

ONE_PATIENT = (
    "name one patient by the id that sync status or fhirbridge incident shows, by that of the "
    "Patient in the EHR, or by --record"
)


class VersionTakenError(BridgeError):
    """The session already has the version, with other content."""

    code = "E201"
    http_status = HTTPStatus.CONFLICT


class PatientChangedError(BridgeError):
    """A version names another patient than the versions before it."""

    code = "E202"
    http_status = HTTPStatus.CONFLICT


class PurgedError(BridgeError):
    """A new version is of a session whose time was over and whose content was erased."""

    code = "E248"
    http_status = HTTPStatus.CONFLICT


class UnknownChartError(BridgeError):
    """No record is of the patient, or has the id, that an operator named."""

    code = "E203"
    http_status = HTTPStatus.NOT_FOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What of a patient is meant: some sessions, or (none named) all. Opaque names."""

    patient: str
    sessions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    """What is stored of one record version. `content` is sealed; the rest is opaque."""

    id: str
    session_key: str
    version: int
    patient_key: str
    subject: str
    in_error: bool
    received_at: str
    recorded_at: str
    digest: str
    labels: str
    translation: str
    set_digest: str
    warnings: int
    held: int
    screen_held: bool = False
    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of it: `id` of the stored version, whether it is new, and the one it replaces."""

    id: str
    state: str  # current | older | repeated
    replaces: str  # id of the version that was current, or ""
    retracted: bool = False  # a person took its session back from this patient's chart


def append(tx: Connection, vault: Vault, new: NewVersion) -> Appended:
    """Store one version in the caller's transaction.

    The same version with the same content is a repeat and stores nothing. What was taken back from
    a patient's chart stays so in a new version for that patient. Raises VersionTakenError for other
    content under the same version, PatientChangedError where the patient differs from one in whose
    chart the session still is, PurgedError where the versions before it were purged.
    """
    versions = tx.execute(select(record).where(record.c.session_key == new.session_key)).all()
    same = [row for row in versions if row.version == new.version]
    if same:
        return _repeat(same[0], new)
    _refuse_purged(versions, new)
    _refuse_other_patient(versions, new)
    current = [row for row in versions if row.state == "current"]
    older = bool(current) and current[0].version > new.version
    if current and not older:
        tx.execute(update(record).where(record.c.id == current[0].id).values(state="superseded"))
    state = "older" if older else "current"
    marks = [row.retracted for row in versions if row.patient_key == new.patient_key]
    retracted = max(marks, default="")
    _store(tx, vault, new, state=state, retracted=retracted)
    replaces = current[0].id if current and not older else ""
    return Appended(id=new.id, state=state, replaces=replaces, retracted=bool(retracted))


def content(tx: Connection, vault: Vault, record_id: str) -> dict[str, Any]:
    """Open one version: `document`, `findings` and `problems` as they were stored."""
    sealed = tx.scalar(select(record.c.sealed).where(record.c.id == record_id))
    if sealed is None:
        raise LookupError(record_id)
    plain = vault.unseal(vault.key(tx, record_id), sealed, f"record:{record_id}")
    result: dict[str, Any] = codec.decode(plain)
    return result


def replace_content(
    tx: Connection,
    vault: Vault,
    record_id: str,
    *,
    translation: str,
    set_digest: str,
    subject: str,
    content: dict[str, Any],
) -> None:
    """Note that a held version was translated again: same record, other outcome."""
    sealed = _sealed(tx, vault, record_id, content)
    tx.execute(
        update(record)
        .where(record.c.id == record_id)
        .values(translation=translation, set_digest=set_digest, subject=subject, sealed=sealed)
    )


def note_withheld(
    tx: Connection, vault: Vault, record_id: str, withheld: Mapping[str, Sequence[Any]]
) -> None:
    """Note, by destination, why what it asks for could not be made of a version."""
    known = content(tx, vault, record_id)
    known["withheld"] = {**known.get("withheld", {}), **withheld}
    sealed = _sealed(tx, vault, record_id, known)
    tx.execute(update(record).where(record.c.id == record_id).values(sealed=sealed))


def _sealed(tx: Connection, vault: Vault, record_id: str, content: dict[str, Any]) -> bytes:
    return vault.seal(vault.key(tx, record_id), codec.encode(content), f"record:{record_id}")


def withheld(content: Mapping[str, Any], destination: str) -> list[dict[str, Any]]:
    """Return why what waits for other mappings could not be made for a destination."""
    found: list[dict[str, Any]] = content.get("withheld", {}).get(destination, content["problems"])
    return found


def patient_of(tx: Connection, session_key: str) -> tuple[str, str]:
    """Return (patient_key, subject) of a session's versions, or ("", "") where there are none.

    A retraction may name the session alone, and a version that could not be translated has no
    subject: the newest version that knows them says it, of those that are still in its chart.
    """
    chosen = (
        select(record.c.patient_key, record.c.subject)
        .where(record.c.session_key == session_key)
        .order_by(
            record.c.retracted != "",
            record.c.subject == "",
            record.c.patient_key == "",
            record.c.version.desc(),
        )
    )
    row = tx.execute(chosen.limit(1)).one_or_none()
    return ("", "") if row is None else (row.patient_key, row.subject)


def last_whole(tx: Connection, session_key: str) -> str:
    """Return the id of the newest version that tells of the visit, not only of an error."""
    chosen = (
        select(record.c.id)
        .where(
            record.c.session_key == session_key,
            record.c.in_error.is_(False),
            record.c.purged_at == "",
        )
        .order_by(record.c.version.desc())
    )
    return tx.scalar(chosen.limit(1)) or ""


def find(tx: Connection, record_id: str) -> Row[Any] | None:
    """Return the row of one version, or None."""
    return tx.execute(select(record).where(record.c.id == record_id)).one_or_none()


def current_versions(tx: Connection) -> list[Row[Any]]:
    """Return every current version that is not purged, in the order in which it was received."""
    chosen = (
        select(record)
        .where(record.c.state == "current", record.c.purged_at == "")
        .order_by(record.c.received_at, record.c.id)
    )
    return list(tx.execute(chosen))


def held_for_translation(
    tx: Connection, set_digest: str, also: Sequence[str] = ()
) -> list[Row[Any]]:
    """Return current versions that another mapping set than `set_digest` could not translate.

    `also` names records of which it could not make what one destination's overlay asks for.
    """
    chosen = (
        select(record)
        .where(
            record.c.state == "current",
            record.c.purged_at == "",
            record.c.retracted == "",
            ((record.c.translation == "held") & (record.c.set_digest != set_digest))
            | record.c.id.in_(also),
        )
        .order_by(record.c.received_at, record.c.id)
    )
    return list(tx.execute(chosen))


def whose(tx: Connection, named: str, records: Collection[str] = ()) -> Chart:
    """Find what an operator names: a patient, the sessions of some record versions, or both.

    `named`: our opaque name of a patient, or the id of the Patient that we made of him. Raises
    UnknownChartError.
    """
    own = named.removeprefix("Patient/")
    rows = [find(tx, one) for one in records]
    if None in rows:
        raise UnknownChartError("no record has this id", hint="ingest prints the id of each record")
    if named:
        by_name = or_(record.c.patient_key == own, record.c.subject == own)
        patients = set(tx.scalars(select(record.c.patient_key).where(by_name).limit(1)))
        if not own or not patients:
            raise UnknownChartError("no record is of this patient", hint=ONE_PATIENT)
    else:
        patients = set()
    patients |= {row.patient_key for row in rows if row is not None}
    if len(patients) != 1 or "" in patients:
        raise UnknownChartError(
            "these records are of several patients, or of none that is known",
            hint=ONE_PATIENT,
        )
    sessions = frozenset(row.session_key for row in rows if row is not None)
    return Chart(patient=patients.pop(), sessions=sessions)


def chart(tx: Connection, meant: Chart) -> list[Row[Any]]:
    """Return every version of a chart, oldest first."""
    chosen = select(record).where(record.c.patient_key == meant.patient)
    if meant.sessions:
        chosen = chosen.where(record.c.session_key.in_(meant.sessions))
    return list(tx.execute(chosen.order_by(record.c.received_at, record.c.version, record.c.id)))


def current_of(tx: Connection, session_key: str) -> Row[Any] | None:
    """Return the current version of a session, or None."""
    chosen = select(record).where(record.c.session_key == session_key, record.c.state == "current")
    return tx.execute(chosen).one_or_none()


def mark(tx: Connection, ids: Collection[str], *, retracted: str) -> None:
    """Note since when these versions are taken back from their patient's chart, or "" for not."""
    tx.execute(update(record).where(record.c.id.in_(ids)).values(retracted=retracted))


def erase(tx: Connection, vault: Vault, ids: Collection[str], *, at: str) -> None:
    """Destroy the keys and the content of these versions; their rows and digests stay."""
    for one in ids:
        vault.shred(tx, one, at)
    tx.execute(update(record).where(record.c.id.in_(ids)).values(purged_at=at, sealed=b""))


def put_aside(
    tx: Connection,
    vault: Vault,
    *,
    row_id: str,
    at: str,
    expires_at: str,
    code: str,
    findings: int,
    raw: bytes,
) -> None:
    """Quarantine refused bytes: sealed, with an expiry; nothing of them is sent."""
    key = vault.new_key(tx, row_id)
    sealed = vault.seal(key, raw, f"quarantine:{row_id}")
    values = {
        "id": row_id,
        "received_at": at,
        "expires_at": expires_at,
        "code": code,
        "findings": findings,
    }
    tx.execute(insert(quarantine).values(**values, sealed=sealed))


def quarantined(tx: Connection) -> int:
    """Count what lies in quarantine."""
    return tx.scalar(select(func.count()).select_from(quarantine)) or 0


def expire_quarantine(tx: Connection, vault: Vault, *, now: str, keep: int) -> int:
    """Erase what is past its expiry, and the oldest beyond `keep`; return how many went."""
    ranked = select(quarantine.c.id, quarantine.c.expires_at).order_by(
        quarantine.c.received_at.desc(), quarantine.c.id
    )
    rows = tx.execute(ranked).all()
    gone = [row.id for place, row in enumerate(rows) if row.expires_at <= now or place >= keep]
    for row_id in gone:
        vault.shred(tx, row_id, now)
        tx.execute(quarantine.delete().where(quarantine.c.id == row_id))
    return len(gone)


def _repeat(row: Row[Any], new: NewVersion) -> Appended:
    if row.digest != new.digest:
        raise VersionTakenError(
            f"/version: this session already has version {new.version} with other content",
            hint="send the change as the next version",
        )
    return Appended(id=row.id, state="repeated", replaces="")


def _refuse_purged(versions: Sequence[Row[Any]] | Any, new: NewVersion) -> None:
    if any(row.purged_at and row.patient_key in ("", new.patient_key) for row in versions):
        raise PurgedError(
            "/session_id: the earlier versions of this session were purged when their time was "
            "over; what the EHR has of it stays as it is",
            hint="correct it in the EHR, or send it as a new session",
        )


def _refuse_other_patient(versions: list[Row[Any]] | Any, new: NewVersion) -> None:
    # A retraction that came before anything else names nobody.
    named = {row.patient_key for row in versions if row.patient_key and not row.retracted}
    if named and named != {new.patient_key}:
        raise PatientChangedError(
            "/patient/id: earlier versions of this session belong to another patient",
            hint="retract the session (status entered-in-error) and send it as a new session, or "
            "have it taken back (fhirbridge incident --retract) and send this version again",
        )


def _store(tx: Connection, vault: Vault, new: NewVersion, *, state: str, retracted: str) -> None:
    key = vault.new_key(tx, new.id)
    sealed = vault.seal(key, codec.encode(new.content), f"record:{new.id}")
    plain = {
        name: getattr(new, name) for name in NewVersion.__dataclass_fields__ if name != "content"
    }
    tx.execute(insert(record).values(**plain, state=state, retracted=retracted, sealed=sealed))
