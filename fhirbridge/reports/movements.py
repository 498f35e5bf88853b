"""What happened to controlled substances, as the records and stock documents say it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

from fhirbridge.reports import substances
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.places import Places
from fhirbridge.reports.substances import Amount

OWN_WITNESS = "R217"  # the finding of a witness who is the one who acted
NO_AMOUNT = "no amount is written down"
NO_WITNESS = "no witness"
SAME_PERSON = "the witness is the one who did it"
NO_PLACE = "at which location is not known"
NOT_GIVEN = ("planned", "not-done")


class What(StrEnum):
    """Which way it went."""

    RECEIVED = "received"
    ADMINISTERED = "administered"
    WASTED = "wasted"
    RETURNED = "returned"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """One amount of one drug that came or went. Names of staff; nothing of a patient."""

    what: What
    time: datetime
    drug: str
    amount: Amount | None
    clinic: str  # its own id
    place: str = ""
    lot: str = ""
    vial: str = ""
    source: str  # opaque id of the record or stock document
    row: str  # in it, such as waste/w-1
    by: str = ""
    witness: str = ""
    remarks: tuple[str, ...] = ()
    counted: str = ""  # the count that found a loss, as `source count`

    @property
    def day(self) -> date:
        """Return the day, as the clinic wrote it."""
        return self.time.date()

    @property
    def change(self) -> Fraction:
        """Return by how much it changes what is there, in its unit; nought where nobody says."""
        if self.amount is None:
            return Fraction(0)
        return self.amount.value if self.what is What.RECEIVED else -self.amount.value


def of_session(kept: Kept, places: Places, wanted: frozenset[str]) -> Iterator[Movement]:
    """Yield what one session took out of the stock."""
    for one in _in_session(kept, places, wanted):
        yield _placed(one, kept, places)


def _in_session(kept: Kept, places: Places, wanted: frozenset[str]) -> Iterator[Movement]:
    document = kept.document
    staff = Staff(document)
    told = {row.get("administration") for row in document.get("waste", ())}
    doses = {row["id"]: row for row in document.get("administrations", ())}
    for row in doses.values():
        taken = [] if _is_elsewhere(row, kept, places) else substances.in_it(row, wanted)
        for drug in taken:
            yield from _of_dose(kept, row, drug, staff)
            if row["id"] not in told:
                yield from _of_devices(kept, row, drug, staff)
    for row in document.get("waste", ()):
        if substances.name(row.get("drug")) in wanted:
            held = _held(kept, f"waste/{row['id']}")
            yield _of_waste(kept, row, staff, doses.get(row.get("administration")), held=held)


def at_home(kept: Kept, places: Places, wanted: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield row and drug of what was taken at home from no vial of the clinic: it is not counted.

    Nothing says that it came out of the clinic's stock.
    """
    for row in kept.document.get("administrations", ()):
        if _is_elsewhere(row, kept, places) and row.get("status") not in NOT_GIVEN:
            for drug in substances.in_it(row, wanted):
                yield f"administrations/{row['id']}", drug


def of_stock(kept: Kept, places: Places) -> Iterator[Movement]:
    """Yield what one stock document says came, went back and was lost."""
    staff = Staff(kept.document)
    vials = {row["id"]: row for row in kept.document.get("vials", ())}
    parts = (("receipts", What.RECEIVED), ("returns", What.RETURNED), ("losses", What.LOST))
    for part, what in parts:
        for row in kept.document.get(part, ()):
            named = [vials[one] for one in row.get("vials", ()) if one in vials]
            drug = substances.name(row.get("drug"))
            strengths = [one.get("concentration") for one in named]
            whole = Movement(
                what=what,
                time=datetime.fromisoformat(row["time"]),
                drug=drug,
                amount=substances.amount(row.get("amount"), drug, strengths),
                clinic=kept.clinic,
                place=places.of_row(kept.document, row),
                lot=row.get("lot", ""),
                source=kept.id,
                row=f"{part}/{row['id']}",
                by=staff.name(row.get("by")),
                witness=staff.name(row.get("witness")),
                counted=f"{kept.id} {row['counted']}" if row.get("counted") else "",
            )
            must = what is not What.RECEIVED
            remarks = _remarks(whole, staff, row, held=_held(kept, whole.row), witnessed=must)
            yield from split(replace(whole, remarks=remarks), named)


def split(whole: Movement, vials: Sequence[Mapping[str, Any]]) -> Iterator[Movement]:
    """Share an amount out to its vials where what they hold adds up to it; else name none."""
    if len(vials) == 1:
        yield replace(whole, vial=vials[0]["number"], lot=whole.lot or vials[0].get("lot", ""))
        return
    parts = [_held_by(vial, whole.drug) for vial in vials]
    known = [one for one in parts if one is not None]
    fits = whole.amount is not None and len(known) == len(parts) > 1
    if fits and whole.amount is not None and _sum(known) == whole.amount:
        for vial, part in zip(vials, known, strict=True):
            lot = vial.get("lot", whole.lot)
            yield replace(whole, vial=vial["number"], lot=lot, amount=part)
        return
    yield whole


def _held_by(vial: Mapping[str, Any], drug: str) -> Amount | None:
    said = vial.get("amount") or vial.get("volume")
    return substances.amount(said, drug, [vial.get("concentration")])


def _sum(amounts: Iterable[Amount]) -> Amount | None:
    """Add up amounts; None where they have several units."""
    listed = list(amounts)
    if len({one.unit for one in listed}) != 1:
        return None
    return Amount(value=sum((one.value for one in listed), Fraction(0)), unit=listed[0].unit)


class Staff:
    """The persons of one document; one of them may stand on several rows."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._rows = {row["id"]: row for row in document.get("staff", ())}

    def name(self, row: object) -> str:
        """Return a person's name, or ""."""
        named = self._rows.get(str(row), {}).get("name")
        if not named:
            return ""
        return " ".join([*named.get("given", ()), named["family"]])

    def are_one(self, first: object, second: object) -> bool:
        """Say whether two rows are one person: the same row, provider number or name."""
        if not first or not second:
            return False
        if first == second:
            return True
        rows = [self._rows.get(str(one), {}) for one in (first, second)]
        numbers = [row.get("npi") for row in rows]
        if all(numbers):
            return bool(numbers[0] == numbers[1])
        names = [self.name(one).casefold() for one in (first, second)]
        return bool(names[0]) and names[0] == names[1]


def _of_dose(kept: Kept, row: Mapping[str, Any], drug: str, staff: Staff) -> Iterator[Movement]:
    """Yield what was given, by where it came from where the record shares all of it out."""
    if row.get("status") in NOT_GIVEN:
        return
    whole = Movement(
        what=What.ADMINISTERED,
        time=datetime.fromisoformat(row["start"]),
        drug=drug,
        amount=substances.dose(row, drug),
        clinic=kept.clinic,
        source=kept.id,
        row=f"administrations/{row['id']}",
        by=staff.name(row.get("performer")) or "the patient",
    )
    remarks = [] if whole.amount is not None else [NO_AMOUNT]
    if row.get("status") in ("on-hold", "unknown"):
        remarks.append(f"its status is {row['status']}")
    devices = [(one, one.get("given"), ()) for one in row.get("devices", ())]
    supplies = [(one, one.get("amount"), _strength(one)) for one in row.get("supplies", ())]
    sources = devices if any(said for _, said, _ in devices) else supplies
    if len(sources) == 1:
        lone = sources[0][0]
        whole = replace(whole, lot=lone.get("lot", ""), vial=lone.get("vial", ""))
    elif sources:
        parts = [substances.amount(said, drug, strength) for _, said, strength in sources]
        known = [one for one in parts if one is not None]
        if len(known) == len(parts) and whole.amount is not None and _sum(known) == whole.amount:
            for (one, _, _), part in zip(sources, known, strict=True):
                where = {"lot": one.get("lot", ""), "vial": one.get("vial", "")}
                yield replace(whole, amount=part, remarks=tuple(remarks), **where)
            return
        remarks.append("what it came from does not add up to the dose: no vial is named")
        lots = {one.get("lot", "") for one, _, _ in sources}
        whole = replace(whole, lot=lots.pop() if len(lots) == 1 else "")
    yield replace(whole, remarks=tuple(remarks))


def _strength(supply: Mapping[str, Any]) -> tuple[object, ...]:
    return (supply.get("concentration"),)


def _of_devices(kept: Kept, row: Mapping[str, Any], drug: str, staff: Staff) -> Iterator[Movement]:
    """Yield what was left in devices, where no row of waste tells of the same dose."""
    for one in row.get("devices", ()):
        left = substances.amount(one.get("wasted"), drug)
        if left is not None and left.value:
            yield Movement(
                what=What.WASTED,
                time=datetime.fromisoformat(one.get("time") or row["start"]),
                drug=drug,
                amount=left,
                clinic=kept.clinic,
                lot=one.get("lot", ""),
                source=kept.id,
                row=f"administrations/{row['id']}/devices/{one['id']}",
                by=staff.name(row.get("performer")),
                remarks=(NO_WITNESS,),
            )


def _of_waste(
    kept: Kept, row: Mapping[str, Any], staff: Staff, of: Mapping[str, Any] | None, *, held: bool
) -> Movement:
    drug = substances.name(row.get("drug"))
    supplies = list((of or {}).get("supplies", ()))
    from_it = [one for one in supplies if not row.get("vial") or one.get("vial") == row["vial"]]
    found = Movement(
        what=What.WASTED,
        time=datetime.fromisoformat(row["time"]),
        drug=drug,
        amount=substances.amount(
            row.get("amount"), drug, [one.get("concentration") for one in from_it]
        ),
        clinic=kept.clinic,
        lot=row.get("lot", ""),
        vial=row.get("vial", ""),
        source=kept.id,
        row=f"waste/{row['id']}",
        by=staff.name(row.get("giver")),
        witness=staff.name(row.get("witness")),
    )
    # Who gave the dose is no witness of what was left of it, either.
    persons = {**row, "by": row.get("giver") or (of or {}).get("performer")}
    if staff.are_one((of or {}).get("performer"), row.get("witness")):
        persons["by"] = (of or {})["performer"]
    return replace(found, remarks=_remarks(found, staff, persons, held=held, witnessed=True))


def _remarks(
    one: Movement, staff: Staff, row: Mapping[str, Any], *, held: bool, witnessed: bool
) -> tuple[str, ...]:
    found = [] if one.amount is not None else [NO_AMOUNT]
    if held or staff.are_one(row.get("by"), row.get("witness")):
        found.append(SAME_PERSON)
    elif witnessed and not row.get("witness"):
        found.append(NO_WITNESS)
    return tuple(found)


def _held(kept: Kept, row: str) -> bool:
    """Say whether the check held this row's witness: he is the one who acted."""
    return any(one["code"] == OWN_WITNESS and one["row"] == row for one in kept.findings)


def _is_elsewhere(row: Mapping[str, Any], kept: Kept, places: Places) -> bool:
    vials = [one.get("vial", "") for one in row.get("supplies", ())]
    ours = any(places.of_vial(kept.clinic, one) is not None for one in vials)
    return row.get("setting") == "home" and not ours


def _placed(one: Movement, kept: Kept, places: Places) -> Movement:
    """Say from which registered location it was taken, and what a volume of a known vial is."""
    vial = places.of_vial(kept.clinic, one.vial)
    if vial is not None:
        one = replace(one, lot=one.lot or vial.lot, amount=vial.worked_out(one.amount))
    place = places.of_session(kept.document, one.vial, one.lot, one.drug)
    remarks = one.remarks if place else (*one.remarks, NO_PLACE)
    return replace(one, place=place, remarks=remarks)
