"""The account of controlled substances: opening, what came and went, what is there. Pure.

A count never mends the books: where it differs, the difference is a row of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from fhirbridge.records.findings import Level
from fhirbridge.reports import movements, substances
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.movements import Movement, Staff, What
from fhirbridge.reports.places import Places
from fhirbridge.reports.substances import MASS, Amount
from fhirbridge.reports.table import Cell, Period, Report, Row, Table, exact, numbers, texts

TITLE = "Controlled substances: received, given, wasted, returned, lost, counted"
ONCE = (
    "Made from the newest version of each session record and stock document, each counted "
    "once. Days are those of the clinic's own clock, as it wrote them."
)
UNITS = (
    "Amounts are in mg wherever mass, volume and concentration say them; a device of nasal "
    "esketamine is 28 mg. What could not be worked out stands in its own unit, or has no "
    "amount, and is listed under what is to be looked at."
)
NO_SUBSTITUTE = (
    "This is no substitute for order forms, inventories, reports of theft, loss or "
    "destruction, or for any other form or record that the law asks of a registrant."
)
NOTES = (ONCE, UNITS, NO_SUBSTITUTE)
PARTS = ("administrations", "waste", "receipts", "returns", "losses", "counts", "vials")
GONE = ("empty", "wasted", "returned", "lost")
MOVES = tuple(What)
AMOUNTS = numbers(
    ("opening", "Opening"),
    ("received", "Received"),
    ("administered", "Administered"),
    ("wasted", "Wasted"),
    ("returned", "Returned"),
    ("lost", "Lost"),
    ("on_hand", "On hand"),
    ("no_amount", "Rows without an amount"),
)
WHERE = (("clinic", "Clinic"), ("location", "Registered location"), ("drug", "Drug"))
UNIT = ("unit", "Unit")
KEPT = (("source", "Record or stock document"), ("row", "Row in it"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One count."""

    name: str  # as losses name it
    time: datetime
    clinic: str
    place: str
    drug: str
    lot: str
    vials: frozenset[str]
    found: Amount | None
    source: str
    row: str
    remarks: tuple[str, ...]

    def is_of(self, one: Movement) -> bool:
        """Say whether a movement is of what was counted."""
        same = (one.clinic, one.place, one.drug) == (self.clinic, self.place, self.drug)
        of_lot = not self.lot or one.lot == self.lot
        return same and of_lot and (not self.vials or one.vial in self.vials)


@dataclass(slots=True)
class Books:
    """All that was read, the whole past of it."""

    moves: list[Movement] = field(default_factory=list)
    counts: list[Counted] = field(default_factory=list)
    left_out: list[Row] = field(default_factory=list)
    vials: list[Row] = field(default_factory=list)
    held: list[Row] = field(default_factory=list)


def report(sessions: Iterable[Kept], stock: Sequence[Kept], period: Period) -> Report:
    """Return the account of a period; `stock` with the oldest document first."""
    books = _read(sessions, stock, period)
    tables = (
        _balances("by-location", "By registered location", (), books.moves, period),
        _balances("by-lot", "By lot", ("lot",), books.moves, period),
        _balances("by-vial", "By vial", ("lot", "vial"), books.moves, period),
        _by_day(books.moves, period),
        _counts(books, period),
        _flags(books, period),
        _listed(books.moves, period),
        Table(
            name="not-counted",
            title="Not counted",
            columns=texts(*KEPT, ("why", "Why")),
            rows=tuple(books.left_out),
        ),
    )
    return Report(
        name="controlled-substances", title=TITLE, period=period, tables=tables, notes=NOTES
    )


def _read(sessions: Iterable[Kept], stock: Sequence[Kept], period: Period) -> Books:
    books = Books()
    counting = [one for one in stock if not one.left_out]
    places = Places(counting)
    wanted = substances.ALWAYS | places.drugs
    books.left_out += [(one.id, "", one.left_out) for one in stock if one.left_out]
    for kept in counting:
        books.held += _held_back(kept, period)
        books.moves += movements.of_stock(kept, places)
        books.counts += _counts_of(kept, places)
    for kept in sessions:
        if kept.left_out:
            books.left_out.append((kept.id, "", kept.left_out))
            continue
        books.held += _held_back(kept, period)
        books.moves += movements.of_session(kept, places, wanted)
        at_home = movements.at_home(kept, places, wanted)
        books.left_out += [(kept.id, row, f"{drug} taken at home") for row, drug in at_home]
    # At one time what came is there before any of it goes.
    books.moves.sort(key=lambda one: (one.time, one.what is not What.RECEIVED, one.source, one.row))
    books.moves = [one for one in books.moves if one.day <= period.until]
    books.vials = list(_vials_with_a_rest(places, books.moves))
    return books


def _held_back(kept: Kept, period: Period) -> Iterator[Row]:
    """Yield what the check took out of the rows that are counted, by the day of the document."""
    visit = kept.document.get("visit", {})
    day = datetime.fromisoformat(visit.get("start") or kept.document["recorded_at"]).date()
    for one in kept.findings if period.has(day) else ():
        own = one["row"].partition("/")[0] in PARTS
        if own and one["level"] == Level.HELD and one["code"] != movements.OWN_WITNESS:
            words = f"the check held {one['pointer']} back: {one['code']}"
            yield (day.isoformat(), kept.id, one["row"], None, words)


def _counts_of(kept: Kept, places: Places) -> Iterator[Counted]:
    vials = {row["id"]: row for row in kept.document.get("vials", ())}
    staff = Staff(kept.document)
    for row in kept.document.get("counts", ()):
        named = [vials[one] for one in row.get("vials", ()) if one in vials]
        drug = substances.name(row.get("drug"))
        same = staff.are_one(row.get("by"), row.get("witness"))
        yield Counted(
            name=f"{kept.id} {row['id']}",
            time=datetime.fromisoformat(row["time"]),
            clinic=kept.clinic,
            place=places.of_row(kept.document, row),
            drug=drug,
            lot=row.get("lot", ""),
            vials=frozenset(one["number"] for one in named),
            found=substances.amount(
                row.get("found"), drug, [one.get("concentration") for one in named]
            ),
            source=kept.id,
            row=f"counts/{row['id']}",
            remarks=(movements.SAME_PERSON,) if same else (),
        )


def _key(one: Movement, more: Sequence[str]) -> tuple[str, ...]:
    unit = one.amount.unit if one.amount else MASS
    return (one.clinic, one.place, one.drug, *(getattr(one, name) for name in more), unit)


def _balances(
    name: str, title: str, more: tuple[str, ...], moves: Sequence[Movement], period: Period
) -> Table:
    grouped = _grouped(moves, lambda one: _key(one, more))
    rows = [(*key, *_sums(of_key, period)) for key, of_key in sorted(grouped.items())]
    names = [(one, one.capitalize()) for one in more]
    return Table(
        name=name,
        title=title,
        columns=(*texts(*WHERE, *names, UNIT), *AMOUNTS),
        rows=tuple(rows),
    )


def _sums(moves: Iterable[Movement], period: Period) -> Iterator[Cell]:
    """Yield opening, what came and went by kind, what is there, and how many rows say nothing."""
    opening, by_kind, silent = Fraction(0), dict.fromkeys(MOVES, Fraction(0)), 0
    for one in moves:
        silent += one.amount is None
        if one.day < period.since:
            opening += one.change
        else:
            by_kind[one.what] += abs(one.change)
    yield exact(opening)
    for kind in MOVES:
        yield exact(by_kind[kind])
    gone = sum((by_kind[kind] for kind in MOVES if kind is not What.RECEIVED), Fraction(0))
    yield exact(opening + by_kind[What.RECEIVED] - gone)
    yield silent


def _by_day(moves: Sequence[Movement], period: Period) -> Table:
    rows: list[Row] = []
    for key, of_key in sorted(_grouped(moves, lambda one: _key(one, ())).items()):
        days = sorted({one.day for one in of_key if period.has(one.day)})
        for day in days:
            until_then = [one for one in of_key if one.day <= day]
            rows.append((day.isoformat(), *key, *_sums(until_then, Period(since=day, until=day))))
    return Table(
        name="by-day",
        title="By day",
        columns=(*texts(("day", "Day"), *WHERE, UNIT), *AMOUNTS),
        rows=tuple(sorted(rows, key=lambda row: row[:5])),
    )


def _counts(books: Books, period: Period) -> Table:
    chosen = [one for one in books.counts if period.has(one.time.date())]
    rows = [
        (one.time.isoformat(), one.clinic, one.place, one.drug, one.lot, *_weighed(one, books))
        for one in sorted(chosen, key=lambda one: (one.time, one.source, one.row))
    ]
    columns = (
        *texts(("time", "Counted at"), *WHERE, ("lot", "Lot"), UNIT),
        *numbers(("books", "The books say"), ("found", "Found"), ("difference", "Difference")),
        *numbers(("lost", "Written down as lost"), ("unexplained", "Not explained")),
        *texts(("result", "Result"), *KEPT),
    )
    return Table(name="counts", title="Counts", columns=columns, rows=tuple(rows))


def _weighed(count: Counted, books: Books) -> Iterator[Cell]:
    """Yield a count beside what the books said then, without the losses that it made known."""
    of_it = [one for one in books.moves if count.is_of(one)]
    named = [one for one in of_it if one.counted == count.name]
    before = [one for one in of_it if one.time <= count.time and one not in named]
    if count.found is None:
        yield from ("", None, None, None, None, None, "nobody wrote down what was found")
        yield from (count.source, count.row)
        return
    unit = count.found.unit
    said = _total(before, unit)
    lost = -_total(named, unit)
    difference = count.found.value - said
    rest = difference + lost
    unsure = sum(one.amount is None or one.amount.unit != unit for one in before)
    result = "agrees" if not rest else "DIFFERS"
    if unsure:
        result += f"; {unsure} rows have no amount in {unit}"
    yield unit
    yield from map(exact, (said, count.found.value, difference, lost, rest))
    yield from (result, count.source, count.row)


def _total(moves: Iterable[Movement], unit: str) -> Fraction:
    fitting = (one.change for one in moves if one.amount and one.amount.unit == unit)
    return sum(fitting, Fraction(0))


def _vials_with_a_rest(places: Places, moves: Sequence[Movement]) -> Iterator[Row]:
    """Yield each vial that is said to hold nothing any more and of which the books keep a rest."""
    left: dict[tuple[str, str], Fraction] = {}
    for one in moves:
        if one.vial and one.amount is not None:
            key = (one.clinic, one.vial)
            left[key] = left.get(key, Fraction(0)) + one.change
    for vial in places.vials():
        rest = left.get((vial.clinic, vial.number), Fraction(0))
        if vial.state in GONE and rest > 0:
            words = f"vial {vial.number} is {vial.state}, and the books keep {exact(rest)} of it"
            yield ("", vial.source, f"vials/{vial.number}", vial.drug, words)


def _flags(books: Books, period: Period) -> Table:
    rows: list[Row] = [
        (one.day.isoformat(), one.source, one.row, one.drug, remark)
        for one in books.moves
        if period.has(one.day)
        for remark in one.remarks
    ]
    rows += [
        (one.time.date().isoformat(), one.source, one.row, one.drug, remark)
        for one in books.counts
        if period.has(one.time.date())
        for remark in one.remarks
    ]
    rows += [*books.held, *books.vials, *_below_nought(books.moves, period)]
    rows += _in_other_units(books.moves, period)
    columns = texts(("day", "Day"), *KEPT, ("drug", "Drug"), ("what", "What"))
    return Table(name="to-look-at", title="To be looked at", columns=columns, rows=tuple(rows))


def _below_nought(moves: Sequence[Movement], period: Period) -> Iterator[Row]:
    """Yield where more went out than ever came in, when that first was so."""
    for key, of_key in sorted(_grouped(moves, lambda one: _key(one, ("lot",))).items()):
        there = Fraction(0)
        for one in of_key:
            there += one.change
            if there < 0 and period.has(one.day):
                words = f"more of lot {key[3] or '(none named)'} went out than came in"
                yield (one.day.isoformat(), one.source, one.row, one.drug, words)
                break


def _in_other_units(moves: Sequence[Movement], period: Period) -> Iterator[Row]:
    """Yield what could not be worked out in the unit in which the rest of its drug is kept."""
    for of_key in _grouped(moves, lambda one: (one.clinic, one.place, one.drug)).values():
        units = {one.amount.unit for one in of_key if one.amount}
        for one in of_key:
            odd = one.amount is not None and one.amount.unit != MASS and MASS in units
            if odd and one.amount and period.has(one.day):
                words = f"is in {one.amount.unit}, and nothing says how much that is in {MASS}"
                yield (one.day.isoformat(), one.source, one.row, one.drug, words)


def _listed(moves: Sequence[Movement], period: Period) -> Table:
    rows = [
        (
            one.time.isoformat(),
            one.what.value,
            one.clinic,
            one.place,
            one.drug,
            one.lot,
            one.vial,
            one.amount.unit if one.amount else "",
            exact(one.amount.value) if one.amount else None,
            one.by,
            one.witness,
            "; ".join(one.remarks),
            one.source,
            one.row,
        )
        for one in moves
        if period.has(one.day)
    ]
    columns = (
        *texts(("time", "Time"), ("what", "What"), *WHERE, ("lot", "Lot"), ("vial", "Vial"), UNIT),
        *numbers(("amount", "Amount")),
        *texts(("by", "By"), ("witness", "Witness"), ("remarks", "Remarks"), *KEPT),
    )
    return Table(name="movements", title="Every movement", columns=columns, rows=tuple(rows))


def _grouped(
    moves: Iterable[Movement], key: Callable[[Movement], tuple[str, ...]]
) -> dict[tuple[str, ...], list[Movement]]:
    found: dict[tuple[str, ...], list[Any]] = {}
    for one in moves:
        found.setdefault(key(one), []).append(one)
    return found
