"""What is asked for each record and delivery is found by an index, however much is stored."""

import re
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.factories import World, a_short_visit, amended, rate
from tests.mapping_sets import few_mappings

# These grow with what is stored; the others are short lists of an installation's own.
LARGE = (
    "record",
    "resource",
    "delivery",
    "delivery_item",
    "ledger",
    "evidence",
    "payload_key",
    "event",
)
BY_THE_WHOLE = re.compile(rf"SCAN ({'|'.join(LARGE)})\b")
# Found by its destination alone, which is all of it.
BY_DESTINATION = re.compile(r"SEARCH (ledger|delivery) USING \w+(?: \w+)* \(destination=\?\)$")


class Asked:
    """Every statement that a world sends, once, with what it was asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.statements: dict[str, Any] = {}
        event.listen(world.store.engine, "before_cursor_execute", self._note)

    def _note(self, *said: Any) -> None:
        _connection, _cursor, statement, parameters, _context, many = said
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            self.statements.setdefault(statement, parameters[0] if many else parameters)

    def plans(self) -> dict[str, list[str]]:
        """What SQLite would do for each."""
        connection = self.world.store.engine.raw_connection()
        found = {}
        for statement, parameters in list(self.statements.items()):
            cursor = connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found[statement] = [row[3] for row in cursor.fetchall()]
        connection.close()
        return found


@pytest.fixture
def asked() -> Asked:
    world = World(mapped=few_mappings)
    world.connect()
    world.take(a_short_visit(1))
    return Asked(world)


def growing(asked: Asked) -> dict[str, str]:
    """What would take longer the more is stored, and what asks so."""
    return {
        plan: statement
        for statement, plans in asked.plans().items()
        for plan in plans
        if BY_THE_WHOLE.search(plan) or BY_DESTINATION.search(plan)
    }


def test_taking_in_and_delivering_scan_nothing_that_grows(asked: Asked) -> None:
    asked.world.take(a_short_visit(2))
    asked.world.take(amended(a_short_visit(2), rate(80)))
    asked.world.take(a_short_visit(1, "pt-2"))

    assert asked.statements
    assert growing(asked) == {}


def test_a_plan_scans_nothing_that_grows(asked: Asked) -> None:
    asked.world.accept(a_short_visit(2))
    asked.statements.clear()

    asked.world.bridge.plan()

    assert asked.statements
    assert growing(asked) == {}


def test_the_newest_word_of_what_all_share_is_the_first_that_is_looked_at(asked: Asked) -> None:
    asked.world.take(a_short_visit(2))

    newest = [
        plans for plans in asked.plans().values() if any("resource_newest" in p for p in plans)
    ]
    assert any("USE TEMP B-TREE FOR RIGHT PART OF ORDER BY" in plans for plans in newest)
    assert not any("USE TEMP B-TREE FOR ORDER BY" in plans for plans in newest)


def test_what_one_record_says_of_what_all_share_is_found_by_that_record(asked: Asked) -> None:
    asked.world.take(amended(a_short_visit(1), rate(80)))

    newest = [plans for sql, plans in asked.plans().items() if "record_1.session_key" in sql]
    by_record = "resource_record (record_id=? AND type=? AND resource_id=? AND overlay=?)"
    found = {plan for plans in newest for plan in plans if "resource_2" in plan}
    assert found == {f"SEARCH resource_2 USING INDEX {by_record}"}


def test_the_test_sees_a_scan_where_there_is_one(asked: Asked) -> None:
    with asked.world.store.read() as tx:
        tx.execute(text("SELECT id FROM record WHERE held = 7")).all()

    assert any(BY_THE_WHOLE.search(plan) for plans in asked.plans().values() for plan in plans)
