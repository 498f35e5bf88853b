"""The reports that a clinic owes, in full numbers: for `make prove`."""

from collections.abc import Callable

from tests.reports import treatments, vials

OPERATIONS = 10_000
TREATMENTS = 100
Say = Callable[[str], None]


def test_r68_after_ten_thousand_random_operations_the_books_say_what_is_in_each_vial(
    say: Say,
) -> None:
    cabinet, report = vials.prove(68, OPERATIONS)

    say(
        f"R68: {OPERATIONS} operations on {len(cabinet.left)} vials, {report.count} rows: "
        f"difference 0, {cabinet.witnessed_alone} own witnesses all found"
    )


def test_r67_no_cell_of_a_hundred_treatments_is_wrong_and_the_overdue_are_exact(say: Say) -> None:
    cells, late = treatments.prove(1, TREATMENTS)

    say(f"R67: {TREATMENTS} treatments, {cells} cells: 0 wrong; {late} overdue, exactly those")
