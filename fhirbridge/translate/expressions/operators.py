"""Operators of expressions, as FHIRPath has them: nothing compared with something is nothing."""

import operator
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation, localcontext
from typing import Any

from fhirbridge.translate.frame import Frame, RefusedError, Run

# Wide enough that + - * are exact for numbers of forty digits; a quotient is rounded by round(n).
EXACT = Context(prec=200, Emax=999, Emin=-999, traps=[InvalidOperation])

_TO_SECONDS = len("2026-03-02T09:00:00")

Combine = Callable[[Any, Any], Any]


def strict(combine: Combine, left: Run, right: Run) -> Run:
    """Combine two values; nothing where either is nothing."""

    def run(frame: Frame) -> Any:
        first, second = left(frame), right(frame)
        return None if first is None or second is None else combine(first, second)

    return run


def comparable(kind: str) -> Callable[[Any], Any]:
    """Return what makes a text of the record comparable with others of its kind."""
    return _moment if kind == "dateTime" else _itself


def compare(sign: str, kind: str) -> Combine:
    """Return a comparison for values of one kind.

    Of dates with other precision it may give nothing.
    """
    made = _COMPARISONS[sign]
    if kind == "dateTime":
        return lambda left, right: made(_moment(left), _moment(right))
    if kind == "partialDate":
        return lambda left, right: _compare_partial(made, left, right)
    return made


_COMPARISONS: dict[str, Combine] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _itself(value: Any) -> Any:
    return value


def _moment(text: str) -> datetime | date:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError("E407", "a time is not as the record's schema demands") from None


def moved(moment: str, length: timedelta) -> str:
    """Return a time that much later; its offset and the digits of its seconds stay as they are."""
    try:
        shifted = datetime.fromisoformat(moment[:_TO_SECONDS]) + length
    except (ValueError, OverflowError):
        raise RefusedError("E407", "a time cannot be moved by that much") from None
    return shifted.isoformat() + moment[_TO_SECONDS:]


def _compare_partial(made: Combine, left: str, right: str) -> Any:
    """2019 and 2019-05 cannot be told apart: nothing, as in FHIRPath."""
    shared = min(len(left), len(right))
    if len(left) != len(right) and left[:shared] == right[:shared]:
        return None
    return made(left[:shared], right[:shared])


def _settled_by(word: bool) -> Callable[[Run, Run], Run]:  # noqa: FBT001 - it is the subject
    """Make a three-valued operator: `word` on either side settles it, before nothing does."""

    def combine(left: Run, right: Run) -> Run:
        def run(frame: Frame) -> Any:
            first = left(frame)
            if first is word:
                return word
            second = right(frame)
            if second is word:
                return word
            return None if first is None or second is None else not word

        return run

    return combine


conjunction = _settled_by(False)
disjunction = _settled_by(True)


def exclusive(left: Run, right: Run) -> Run:
    """Three-valued `xor`."""
    return strict(operator.ne, left, right)


def implication(left: Run, right: Run) -> Run:
    """Three-valued `implies`: what is false implies anything, and anything implies what is true."""
    return disjunction(negation(left), right)


def negation(operand: Run) -> Run:
    """Three-valued `not`: of nothing, nothing."""

    def run(frame: Frame) -> Any:
        value = operand(frame)
        return None if value is None else not value

    return run


def arithmetic(sign: str) -> Combine:
    """Return + - * / div mod on numbers; dividing by zero gives nothing."""
    made = _ARITHMETIC[sign]

    def run(left: Any, right: Any) -> Any:
        if sign in ("/", "div", "mod") and right == 0:
            return None
        with localcontext(EXACT):
            return made(left, right)

    return run


def negated(value: Any) -> Any:
    """Change the sign; the operator would round a Decimal to the thread's context."""
    return value.copy_negate() if isinstance(value, Decimal) else -value


def _whole_quotient(left: Any, right: Any) -> int:
    """Truncate towards zero, as FHIRPath does and Python does not."""
    return int(Decimal(left) // Decimal(right))


def _remainder(left: Any, right: Any) -> Any:
    rest = Decimal(left) % Decimal(right)
    return int(rest) if isinstance(left, int) and isinstance(right, int) else rest


_ARITHMETIC: dict[str, Combine] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: Decimal(left) / Decimal(right),
    "div": _whole_quotient,
    "mod": _remainder,
}
