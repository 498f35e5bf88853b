"""A table whose rows nobody changes or removes, not even by a mistake of ours."""

from sqlalchemy import DDL, Table, event

SQLITE = (
    # REPLACE deletes without asking the trigger on DELETE, so a known id is refused on its own.
    """CREATE TRIGGER {name}_is_new BEFORE INSERT ON {name}
    WHEN EXISTS (SELECT 1 FROM {name} WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END""",
    """CREATE TRIGGER {name}_is_kept BEFORE DELETE ON {name}
    BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END""",
    """CREATE TRIGGER {name}_is_fixed BEFORE UPDATE ON {name}
    BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END""",
)
POSTGRESQL = (
    """CREATE FUNCTION {name}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{name} is append-only' USING ERRCODE = 'restrict_violation'; END $$""",
    """CREATE TRIGGER {name}_is_kept BEFORE UPDATE OR DELETE ON {name}
    FOR EACH ROW EXECUTE FUNCTION {name}_is_append_only()""",
    """CREATE TRIGGER {name}_is_whole BEFORE TRUNCATE ON {name}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}_is_append_only()""",
)


def statements(table_name: str, dialect: str) -> list[str]:
    """Return what makes the guard of one table; a migration that makes a table runs them too."""
    chosen = SQLITE if dialect == "sqlite" else POSTGRESQL
    return [one.format(name=table_name) for one in chosen]


def guard(table: Table) -> None:
    """Make the guard whenever the table is made."""
    for dialect in ("sqlite", "postgresql"):
        for statement in statements(table.name, dialect):
            made = DDL(statement).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", made)
