"""The shapes that recur: strict objects, rows, coded fields, measures, names, addresses."""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema

from fhirbridge.records.fields import (
    MESSAGES,
    REQUIRED,
    Choice,
    Number,
    RefusedError,
    RowRef,
    TableKey,
    TableWord,
    Text,
    Word,
)
from fhirbridge.records.source import Json

OBJECT_MESSAGES = {"type": str(MESSAGES["type"])}
ROW_LIMIT = 5000  # a reading every ten seconds for more than half a day
ENTERED_IN_ERROR = "entered-in-error"
METHODS = ("measured", "estimated", "derived", "stated")
# The words of the FHIR data-absent-reason code system that a clinic can mean.
ABSENT_REASONS = (
    "unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "not-applicable",
    "unsupported", "error", "not-performed", "not-permitted",
)  # fmt: skip


class Strict(Schema):
    """An object in which an unknown field is an error."""

    class Meta:
        # Unknown fields are refused below, where the known names are at hand.
        unknown = EXCLUDE

    error_messages = OBJECT_MESSAGES

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown(self, _data: Json, original: Json, **_: Json) -> None:
        """Refuse each field that this object does not have."""
        if not isinstance(original, Mapping):
            return
        known = {field.data_key or name for name, field in self.fields.items()}
        strange = [name for name in original if name not in known]
        if strange:
            raise ValidationError({name: ["R105 is not a field here"] for name in strange})


class Part(fields.Nested):
    """One nested object."""

    default_error_messages = MESSAGES


class Rows(fields.List[Any]):
    """A list, usually of rows, of a length that one visit can fill."""

    default_error_messages = MESSAGES

    def _deserialize(
        self, value: Json, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Json
    ) -> list[Any]:
        if isinstance(value, list) and len(value) > ROW_LIMIT:
            raise RefusedError(code="R104", says=f"has more than {ROW_LIMIT} rows")
        found: list[Any] = super()._deserialize(value, attr, data, **kwargs)
        return found


def rows(shape: type[Schema], **options: Json) -> Rows:
    """Make a list of rows of one shape."""
    return Rows(Part(shape), **options)


class Row(Strict):
    """A row with an id that is stable over versions.

    A row of a `retractable` shape whose `status` is entered-in-error is taken back: of it only
    `id` is needed. A consent is not retractable: what it was about must stay known.
    """

    retractable: ClassVar[bool] = False

    id = Word(required=True)
    labels = Rows(TableWord("label"))
    related = Rows(RowRef("*"))

    def load(self, data: Json, *, partial: Json = None, **options: Json) -> Json:
        """Load; of a row that is taken back nothing but the id is asked for."""
        if (
            self.retractable
            and isinstance(data, Mapping)
            and data.get("status") == ENTERED_IN_ERROR
        ):
            partial = True
        return super().load(data, partial=partial, **options)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def ask_for_id(self, _data: Json, original: Json, *, partial: Json = None, **_: Json) -> None:
        """Ask for the id also where nothing else is asked for."""
        if partial is True and isinstance(original, Mapping) and "id" not in original:
            raise ValidationError({"id": [REQUIRED]})


class Coded(Strict):
    """One of `key` of a known table, `system` with `code` (and `display`), or `text`."""

    table: ClassVar[str] = ""

    system = Word()
    code = Word()
    display = Text()
    text = Text()

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def say_it_once(self, _data: Json, original: Json, **_: Json) -> None:
        """Refuse none, half and several."""
        if not isinstance(original, Mapping):
            return
        named = [name for name in ("key", "code", "text") if name in original]
        if len(named) != 1 or ("system" in original) != ("code" in original):
            ways = "key, system with code, or text" if self.table else "system with code, or text"
            raise ValidationError([f"R108 must say exactly one of {ways}"])
        if "display" in original and "code" not in original:
            raise ValidationError(["R108 has a display without a code"])


def coded_shape(table: str, base: type[Coded] = Coded) -> type[Coded]:
    """Make the shape of a field coded by one vocabulary table ("" for none)."""
    if not table:
        return base
    name = "".join(part.title() for part in table.split("-")) + base.__name__
    return type(name, (base,), {"table": table, "key": TableKey(table)})


def coded(table: str = "", **options: Json) -> Part:
    """Make one coded field."""
    return Part(coded_shape(table), **options)


class Measure(Strict):
    """A value with its unit as given, or the reason why there is none.

    Neither is `required` here: a value without a unit holds this one measure, not the record.
    """

    dimensions: ClassVar[tuple[str, ...]] = ()

    value = Number()
    unit = Word()
    method = Choice(*METHODS)
    absent_reason = Choice(*ABSENT_REASONS)
    device = Word()
    label = Word()


def measure(*dimensions: str, **options: Json) -> Part:
    """Make one measure whose unit must be of one of these dimensions."""
    name = "".join(word.title() for word in "-".join(dimensions).split("-")) + "Measure"
    return Part(type(name, (Measure,), {"dimensions": dimensions}), **options)


class PersonName(Strict):
    """A person's name."""

    family = Word(required=True)
    given = Rows(Word())
    prefix = Rows(Word())
    suffix = Rows(Word())


class Address(Strict):
    """A postal address."""

    line = Rows(Word())
    city = Word()
    district = Word()
    state = Word()
    postal_code = Word()
    country = Word()
