"""Keep the destinations: added, listed, proven by a probe, paused."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, insert, select, update

from fhirbridge.destinations import modes, pulls
from fhirbridge.destinations import taken as of_types
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.limits import NO_LIMITS, Limits
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.pulls import Pull
from fhirbridge.destinations.taken import Taken
from fhirbridge.fhir import codec
from fhirbridge.store.tables import destination, ledger

# Built once: it is asked for several times with each delivery.
_EVER = select(destination).where(destination.c.name == bindparam("called"))
_ONE = _EVER.where(destination.c.removed_at == "")
ALLOWED = "allowed"
NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,250}")
MOST_ENTRIES, MOST_BYTES = 100, 1_000_000  # of one Bundle, until the EHR says 413
SIGN_IN_REFUSED = "the EHR refused our sign-in"  # how the reason of such a pause begins
ACCESS_REFUSED = "the EHR refuses access"  # and of this one
OF_A_NEWER_VERSION = "a newer version of fhirbridge chose how deliveries go: use that one"
NOT_PROVEN = (
    "not proven: run fhirbridge destination probe NAME, "
    "with --agreed-with WHO where it is no test server"
)


class Policy(StrEnum):
    """Who makes the Patients of an EHR."""

    OURS = "ours"  # we make one of ours for each patient
    MATCH = "match"  # nobody does: the EHR has them, and each is found or waits for a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """Whose Patients ours point to at an EHR."""

    policy: Policy = Policy.OURS
    systems: Mapping[str, str] = field(default_factory=dict)  # of identifiers: ours to theirs

    def __post_init__(self) -> None:
        """Refuse what no identifier could have. Raises DestinationError."""
        for one in (*self.systems, *self.systems.values()):
            if not URI.fullmatch(one):
                raise DestinationError(
                    "a system of identifiers is a URI",
                    hint="such as urn:oid:2.16.840.1.113883.19.5 or https://ehr.example.org/mrn",
                )

    def plain(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {"policy": self.policy.value, "systems": dict(self.systems)}

    def columns(self) -> dict[str, str]:
        """Return it as it is stored."""
        systems = codec.canonical(dict(self.systems)).decode()
        return {"patients": self.policy.value, "patient_systems": systems}


OUR_PATIENTS = Patients()


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One EHR FHIR server."""

    name: str
    base_url: str
    mode: Mode
    traits: dict[str, Any]
    requires_consent: bool
    test_server: bool
    overlay: str  # of the mappings; "" for none
    networks: tuple[str, ...]
    paused: str
    most_entries: int = MOST_ENTRIES
    most_bytes: int = MOST_BYTES
    limits: Limits = NO_LIMITS
    patients: Patients = OUR_PATIENTS
    pull: tuple[Pull, ...] = ()  # what it is asked about our patients
    declared: str = ""  # the mode that a person named, or "": what was seen decides alone
    types: Mapping[str, Taken] = field(default_factory=dict)  # that were ever not sent as they are
    weak: str = ""  # ALLOWED: a person lets updates go without a guard of the server, or ""
    removed_at: str = ""  # since when it is no destination any more, or ""
    # Types that are the EHR's own, each with the system of its numbers there.
    theirs: Mapping[str, str] = field(default_factory=dict)

    @property
    def guard(self) -> str:
        """Return "weak" where an update is only read and compared just before, else "" ."""
        updates = self.mode not in (Mode.UNPROVEN, Mode.CREATE_ONLY)
        return "weak" if updates and modes.is_weak(self.traits) else ""

    @property
    def gives_ids(self) -> bool:
        """Say whether the EHR names what is new."""
        return self.mode in modes.GIVES_IDS

    @property
    def only_creates(self) -> bool:
        """Say whether nothing that is there can be changed."""
        return self.mode is Mode.CREATE_ONLY

    @property
    def is_facade(self) -> bool:
        """Say whether nothing is sent there: it is kept here, for readers who come for it."""
        return self.mode is Mode.FACADE

    @property
    def reads_in_batches(self) -> bool:
        """Say whether several resources may be read by one batch."""
        return not self.only_creates and modes.reads_in_batches(self.traits)

    @property
    def leaves_out(self) -> bool:
        """Say whether anything of ours does not go there as itself."""
        return self.only_creates or any(self.leaves(kind) for kind in self.types)

    def leaves(self, kind: str) -> bool:
        """Say whether what is of a type does not go there as itself."""
        return self.takes(kind) is not Taken.SEND

    def takes(self, kind: str) -> Taken:
        """Say how it gets what is of a type; of what is its own, nothing of ours is made there."""
        return Taken.SEND if kind in self.theirs else self.types.get(kind, Taken.SEND)

    @property
    def way(self) -> str:
        """Return the mode for people, with the guard where that is weak."""
        return f"{self.mode} ({self.guard} guard)" if self.guard else str(self.mode)


def check_new(tx: Connection, name: str) -> None:
    """Refuse a name that is taken or unfit. Raises DestinationError."""
    if not NAME.fullmatch(name):
        raise DestinationError(
            "a destination's name is a-z, 0-9 and -, at most 40 characters, a letter first"
        )
    known = ever(tx, name)
    if known is None:
        return
    if known.removed_at:
        raise DestinationError(
            f"a destination named {name} was removed on {known.removed_at[:10]}: "
            "what it holds is still known by that name",
            hint="choose another name",
        )
    raise DestinationError(
        f"a destination named {name} is already there", hint="fhirbridge destination list"
    )


def add(tx: Connection, new: Destination, *, at: str) -> None:
    """Store a new destination. Raises DestinationError where the name is taken or unfit."""
    check_new(tx, new.name)
    tx.execute(
        insert(destination).values(
            name=new.name,
            base_url=new.base_url,
            mode=new.mode,
            traits=codec.canonical(new.traits).decode(),
            requires_consent=new.requires_consent,
            test_server=new.test_server,
            overlay=new.overlay,
            networks=" ".join(new.networks),
            paused=new.paused,
            weak=new.weak,
            declared=new.declared,
            types=_types(new.types),
            pull=" ".join(new.pull),
            most_entries=new.most_entries,
            most_bytes=new.most_bytes,
            forbidden="",
            created_at=at,
            removed_at="",
            **new.limits.columns(),
            theirs=codec.canonical(dict(new.theirs)).decode(),
            **new.patients.columns(),
        )
    )


def note_probe(tx: Connection, name: str, traits: dict[str, Any]) -> None:
    """Keep what a probe found, and how deliveries go by that; what is not safe stays paused."""
    known = get(tx, name)
    weak, declared = known.weak != "", known.declared
    mode = modes.choose(traits, weak=weak, assigned=_gave_ids(tx, name), declared=declared)
    why = modes.why_paused(traits, weak=weak, declared=declared) or NOT_PROVEN
    values = {
        "mode": mode,
        "traits": codec.canonical(traits).decode(),
        "paused": "" if mode is not Mode.UNPROVEN else why,
    }
    tx.execute(update(destination).where(destination.c.name == name).values(**values))


def allow_weak_guard(tx: Connection, name: str, *, allowed: bool) -> None:
    """Let updates go without a guard of the server, or take that back.

    What was seen then decides anew how deliveries go. A pause that has another cause stays.
    Raises DestinationError.
    """
    _choose_anew(tx, name, weak=ALLOWED if allowed else "")


def declare(tx: Connection, name: str, mode: str) -> None:
    """Let deliveries go as a person says, "" for as was seen. Raises DestinationError."""
    if mode not in ("", Mode.CREATE_ONLY):
        raise DestinationError(f"only {Mode.CREATE_ONLY} can be named; all else a probe must see")
    _choose_anew(tx, name, declared=mode)


def check_is_server(known: Destination) -> None:
    """Refuse what can only be said of somebody's server. Raises DestinationError."""
    if known.is_facade:
        raise DestinationError(
            f"{known.name} is a facade: it is read from, and there is no server to ask",
            hint="fhirbridge token make NAME --role reader --facade " + known.name,
        )


def check_is_facade(known: Destination) -> None:
    """Refuse what can only be said of a facade. Raises DestinationError."""
    if not known.is_facade:
        raise DestinationError(
            f"{known.name} is no facade: nobody reads from it",
            hint="fhirbridge destination add-facade NAME URL",
        )


def _choose_anew(tx: Connection, name: str, **values: str) -> None:
    known = get(tx, name)
    check_is_server(known)
    tx.execute(update(destination).where(destination.c.name == name).values(**values))
    other = known.paused if known.mode is not Mode.UNPROVEN else ""
    note_probe(tx, name, known.traits)
    if other and get(tx, name).mode is not Mode.UNPROVEN:
        pause(tx, name, other)


def require_consent(tx: Connection, name: str) -> None:
    """Send a destination only what its patients agreed to share."""
    chosen = update(destination).where(destination.c.name == name)
    tx.execute(chosen.values(requires_consent=True))


def set_types(tx: Connection, name: str, types: Mapping[str, Taken]) -> None:
    """Set how it gets what is of each type; what is left out is sent. Raises TypesError."""
    of_types.check(types)
    chosen = update(destination).where(destination.c.name == name)
    tx.execute(chosen.values(types=_types(types)))


def _gave_ids(tx: Connection, name: str) -> bool:
    """Say whether this EHR has something of ours under an id that it gave.

    Of its own patients, which ours point to, no version is known: they are nothing of ours.
    """
    theirs = select(ledger.c.ehr_id).where(
        ledger.c.destination == name,
        ledger.c.ehr_id != ledger.c.resource_id,
        ledger.c.ehr_version != "",
    )
    return tx.execute(theirs.limit(1)).first() is not None


def pause(tx: Connection, name: str, why: str) -> None:
    """Stop deliveries to one destination, with the reason; an empty reason resumes them."""
    tx.execute(update(destination).where(destination.c.name == name).values(paused=why))


def note_size(tx: Connection, name: str, *, most_entries: int, most_bytes: int) -> None:
    """Keep how large a Bundle may be, as the EHR taught by refusing larger ones."""
    learned = {"most_entries": most_entries, "most_bytes": most_bytes}
    tx.execute(update(destination).where(destination.c.name == name).values(**learned))


def note_forbidden(tx: Connection, name: str, lane: str) -> int:
    """Note that one lane was answered 403; return how many different ones were, in a row."""
    known = tx.scalar(select(destination.c.forbidden).where(destination.c.name == name)) or ""
    lanes = dict.fromkeys([*known.split(), lane])
    noted = update(destination).where(destination.c.name == name)
    tx.execute(noted.values(forbidden=" ".join(lanes)))
    return len(lanes)


def end_forbidden(tx: Connection, name: str) -> None:
    """Note that the EHR took something, or that a person was told: the row of 403s has ended."""
    tx.execute(
        update(destination)
        .where(destination.c.name == name, destination.c.forbidden != "")
        .values(forbidden="")
    )


def limit(tx: Connection, name: str, limits: Limits) -> None:
    """Set how much a destination is asked at most; workers heed it from their next request on."""
    tx.execute(update(destination).where(destination.c.name == name).values(**limits.columns()))


def set_patients(tx: Connection, name: str, patients: Patients) -> None:
    """Choose whose Patients ours point to there; what was decided of single ones stays."""
    if patients.policy is Policy.MATCH:
        check_is_server(get(tx, name))
    chosen = update(destination).where(destination.c.name == name)
    tx.execute(chosen.values(**patients.columns()))


def set_pull(tx: Connection, name: str, chosen: Sequence[Pull]) -> None:
    """Choose what it is asked about our patients."""
    if chosen:
        check_is_server(get(tx, name))
    tx.execute(update(destination).where(destination.c.name == name).values(pull=" ".join(chosen)))


def remove(tx: Connection, name: str, *, at: str) -> None:
    """Let it be no destination any more; its row stays, since ledger and evidence name it."""
    gone = update(destination).where(destination.c.name == name)
    tx.execute(gone.values(removed_at=at, paused="", weak=""))


def find(tx: Connection, name: str) -> Destination | None:
    """Return one destination by name, or None; a removed one is none."""
    row = tx.execute(_ONE, {"called": name}).one_or_none()
    return None if row is None else _read(row)


def ever(tx: Connection, name: str) -> Destination | None:
    """Return one destination by name, whether it was removed or not, or None."""
    row = tx.execute(_EVER, {"called": name}).one_or_none()
    return None if row is None else _read(row)


def get(tx: Connection, name: str) -> Destination:
    """Return one destination by name. Raises DestinationError."""
    found = find(tx, name)
    if found is None:
        raise DestinationError(
            f"there is no destination named {name}", hint="fhirbridge destination list"
        )
    return found


def every(tx: Connection) -> list[Destination]:
    """Return all destinations by name, without those that were removed."""
    return _chosen(tx, destination.c.removed_at == "")


def removed(tx: Connection) -> list[Destination]:
    """Return those that were removed, by name."""
    return _chosen(tx, destination.c.removed_at != "")


def _chosen(tx: Connection, which: ColumnElement[bool]) -> list[Destination]:
    rows = tx.execute(select(destination).where(which).order_by(destination.c.name))
    return [_read(row) for row in rows]


def overlays(tx: Connection) -> list[str]:
    """Return the overlays that destinations use, without the empty one, sorted."""
    used = (destination.c.overlay != "", destination.c.removed_at == "")
    chosen = select(destination.c.overlay).where(*used).distinct()
    return sorted(tx.scalars(chosen))


def _read(row: Row[Any]) -> Destination:
    is_known = row.mode in list(Mode)
    return Destination(
        name=row.name,
        base_url=row.base_url,
        mode=Mode(row.mode) if is_known else Mode.UNPROVEN,
        traits=codec.decode_own(row.traits.encode()),
        requires_consent=row.requires_consent,
        test_server=row.test_server,
        overlay=row.overlay,
        networks=tuple(row.networks.split()),
        paused=row.paused if is_known else OF_A_NEWER_VERSION,
        weak=row.weak,
        declared=row.declared,
        types={kind: Taken(one) for kind, one in codec.decode(row.types.encode()).items()},
        pull=pulls.read(row.pull.split()) or (),
        removed_at=row.removed_at,
        most_entries=row.most_entries,
        most_bytes=row.most_bytes,
        limits=Limits(rps=row.rps, concurrent=row.concurrent, per_day=row.per_day),
        theirs=codec.decode(row.theirs.encode()),
        patients=Patients(
            policy=Policy(row.patients), systems=codec.decode(row.patient_systems.encode())
        ),
    )


def _types(types: Mapping[str, Taken]) -> str:
    return codec.canonical({kind: one.value for kind, one in types.items()}).decode()
