"""The stock of controlled substances, `fhirbridge/stock/v1`: what came, is there, and went."""

from collections.abc import Mapping

from fhirbridge.records.fields import (
    Choice,
    Moment,
    PartialDate,
    RowRef,
    TableWord,
    Text,
    Whole,
    Word,
)
from fhirbridge.records.parts.people import Clinic, Signed, StaffMember
from fhirbridge.records.parts.shapes import (
    ENTERED_IN_ERROR,
    Address,
    Part,
    Row,
    Rows,
    Strict,
    coded,
    measure,
    rows,
)
from fhirbridge.records.source import Json

STOCK_NAME = "fhirbridge/stock/v1"
# Its clinic is: two may count their documents alike.
NOT_ASKED_OF_A_RETRACTION = ("clinic.name",)
AMOUNT = ("mass", "volume", "count")


class Location(Row):
    """A place where controlled substances may be kept, by its registration."""

    name = Word(required=True)
    registration = Word()
    address = Part(Address)


class StockRow(Row):
    """One thing that happened to the stock of one place."""

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    location = RowRef("locations", required=True)
    time = Moment(required=True)
    drug = coded("drug", required=True)
    lot = Word()
    ndc = Word()
    by = RowRef("staff")
    witness = RowRef("staff")
    note = Text()


class Receipt(StockRow):
    """What was delivered."""

    supplier = Word()
    order_form = Word()
    expiry = PartialDate()
    amount = measure(*AMOUNT, required=True)
    vials = Rows(RowRef("vials"))


class Vial(Row):
    """One container, by the number that the clinic gave it."""

    retractable = True

    status = Choice("final", ENTERED_IN_ERROR)
    location = RowRef("locations", required=True)
    drug = coded("drug", required=True)
    number = Word(required=True)
    lot = Word()
    expiry = PartialDate()
    ndc = Word()
    volume = measure("volume")
    concentration = measure("concentration")
    amount = measure(*AMOUNT)
    state = Choice("sealed", "open", "empty", "wasted", "returned", "lost", required=True)
    opened_at = Moment()
    opened_by = RowRef("staff")
    note = Text()


class Return(StockRow):
    """What went back to the supplier or to a reverse distributor."""

    to = Word(required=True)
    amount = measure(*AMOUNT, required=True)
    vials = Rows(RowRef("vials"))
    why = Text()


class Count(StockRow):
    """What was counted, beside what the books say."""

    expected = measure(*AMOUNT)
    found = measure(*AMOUNT, required=True)
    vials = Rows(RowRef("vials"))


class Loss(StockRow):
    """What is missing, broken or stolen, and who was told."""

    kind = Choice("breakage", "spill", "discrepancy", "theft", "unknown", required=True)
    amount = measure(*AMOUNT, required=True)
    vials = Rows(RowRef("vials"))
    counted = RowRef("counts")
    why = Text()
    reported_to = Word()
    reported_at = Moment()
    report_number = Word()


class StockRecord(Strict):
    """The movements of a stretch of time in one clinic, complete at every version."""

    schema = Choice(STOCK_NAME, required=True)
    stock_id = Word(required=True)
    version = Whole(least=1, required=True)
    recorded_at = Moment(required=True)
    as_of = Moment()
    amends = Whole(least=1)
    status = Choice("active", ENTERED_IN_ERROR, required=True)
    labels = Rows(TableWord("label"))
    signed = Part(Signed)
    clinic = Part(Clinic, required=True)
    staff = rows(StaffMember)
    locations = rows(Location)
    receipts = rows(Receipt)
    vials = rows(Vial)
    returns = rows(Return)
    counts = rows(Count)
    losses = rows(Loss)

    def load(self, data: Json, *, partial: Json = None, **options: Json) -> Json:
        """Load; of a record that is taken back nothing but its identity is asked for."""
        if isinstance(data, Mapping) and data.get("status") == ENTERED_IN_ERROR:
            partial = NOT_ASKED_OF_A_RETRACTION
        return super().load(data, partial=partial, **options)
