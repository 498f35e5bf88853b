"""A token is shown once, kept as a hash, and stops working when it is expired or revoked."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select

from fhirbridge.access import tokens
from fhirbridge.access.tokens import (
    LONGEST_DAYS,
    NoSuchTokenError,
    Principal,
    Role,
    Room,
    TokenFacadeError,
    TokenLifetimeError,
    TokenNameError,
)
from fhirbridge.rng import SystemRng
from fhirbridge.store.access_tables import api_token
from fhirbridge.store.engine import Store
from tests.fakes import START, SeededRng

A_MOMENT = timedelta(microseconds=1)


@pytest.fixture
def tx() -> Iterator[Connection]:
    store = Store("sqlite://")
    store.create()
    with store.begin() as made:
        yield made
    store.close()


@pytest.fixture
def rng() -> SeededRng:
    return SeededRng()


def test_a_token_says_who_calls_and_what_they_may_do(tx: Connection, rng: SeededRng) -> None:
    secrets = {
        role: tokens.make(tx, rng, name=f"the-{role}", role=role, facade=facade, now=START)
        for role in Role
        for facade in ["portal" if role is Role.READER else ""]
    }

    for role, secret in secrets.items():
        caller = tokens.check(tx, secret, now=START)
        assert caller is not None
        assert (caller.role, caller.name, caller.actor) == (
            role,
            f"the-{role}",
            f"token:the-{role}",
        )
        assert caller.facade == ("portal" if role is Role.READER else "")


@pytest.mark.parametrize(
    ("role", "facade"), [(Role.READER, ""), (Role.ADMIN, "portal"), (Role.INTEGRATOR, "portal")]
)
def test_s02_a_reader_reads_one_facade_and_nobody_else_does(
    tx: Connection, rng: SeededRng, role: Role, facade: str
) -> None:
    with pytest.raises(TokenFacadeError):
        tokens.make(tx, rng, name="ehr", role=role, facade=facade, now=START)


def test_roles_are_these_and_no_others() -> None:
    known = {"integrator", "operator", "auditor", "admin", "reader"}
    assert {role.value for role in Role} == known


def test_the_database_keeps_a_hash_and_nothing_of_the_secret(
    tx: Connection, rng: SeededRng
) -> None:
    secret = tokens.make(tx, rng, name="clinic", role=Role.ADMIN, now=START)
    bare = secret.removeprefix(tokens.PREFIX)

    row = tx.execute(select(api_token)).one()

    assert row.hash == hashlib.sha256(secret.encode()).hexdigest()
    assert not [value for value in row if bare in value or bare[:8] in value]


def test_secrets_are_long_differ_and_can_stand_in_a_header(tx: Connection) -> None:
    made = {
        tokens.make(tx, SystemRng(), name="clinic", role=Role.AUDITOR, now=START)
        for _ in range(100)
    }

    assert len(made) == 100
    for secret in made:
        assert secret.startswith("fhirbridge_")
        assert len(secret) == len("fhirbridge_") + 43
        assert secret.replace("_", "").replace("-", "").isalnum()


def test_only_the_secret_itself_is_accepted(tx: Connection, rng: SeededRng) -> None:
    secret = tokens.make(tx, rng, name="clinic", role=Role.ADMIN, now=START)
    flipped = [
        secret[:place] + ("A" if char != "A" else "B") + secret[place + 1 :]
        for place, char in enumerate(secret)
    ]
    others = [
        *("", secret[:-1], f"{secret}A", f"{secret}=", f"{secret}\n", f" {secret}"),
        *(secret.removeprefix(tokens.PREFIX), secret.swapcase(), f"Bearer {secret}"),
        hashlib.sha256(secret.encode()).hexdigest(),
        *("%", "' OR 1=1 --", "\0", "\ud800", "é" * 1000),
    ]

    accepted = [other for other in [*flipped, *others] if tokens.check(tx, other, now=START)]

    assert accepted == []
    assert tokens.check(tx, secret, now=START)


@pytest.mark.parametrize(
    ("after", "works"),
    [
        (timedelta(), True),
        (timedelta(days=364), True),
        (timedelta(days=365) - A_MOMENT, True),
        (timedelta(days=365), False),
        (timedelta(days=4000), False),
    ],
)
def test_a_token_lasts_a_year_by_the_clock_it_is_given(
    tx: Connection, rng: SeededRng, after: timedelta, *, works: bool
) -> None:
    secret = tokens.make(tx, rng, name="clinic", role=Role.ADMIN, now=START)

    assert (tokens.check(tx, secret, now=START + after) is not None) is works


def test_revoking_takes_every_live_token_of_that_name_and_no_other(
    tx: Connection, rng: SeededRng
) -> None:
    old, new = (
        tokens.make(tx, rng, name="clinic", role=Role.INTEGRATOR, now=START) for _ in range(2)
    )
    other = tokens.make(tx, rng, name="clinic-2", role=Role.INTEGRATOR, now=START)

    count = tokens.revoke(tx, "clinic", now=START)

    assert count == 2
    assert [tokens.check(tx, one, now=START) for one in (old, new)] == [None, None]
    assert isinstance(tokens.check(tx, other, now=START), Principal)


def test_what_was_revoked_stays_revoked_and_its_time_is_not_rewritten(
    tx: Connection, rng: SeededRng
) -> None:
    tokens.make(tx, rng, name="clinic", role=Role.ADMIN, now=START)
    tokens.revoke(tx, "clinic", now=START)
    before = tokens.every(tx)

    with pytest.raises(NoSuchTokenError) as refused:
        tokens.revoke(tx, "clinic", now=START + timedelta(days=1))

    assert tokens.every(tx) == before
    assert refused.value.http_status == 404


def test_a_name_may_be_used_again_after_it_was_revoked(tx: Connection, rng: SeededRng) -> None:
    old = tokens.make(tx, rng, name="clinic", role=Role.ADMIN, now=START)
    tokens.revoke(tx, "clinic", now=START)

    new = tokens.make(tx, rng, name="clinic", role=Role.AUDITOR, now=START)

    assert tokens.check(tx, old, now=START) is None
    caller = tokens.check(tx, new, now=START)
    assert caller is not None
    assert caller.role is Role.AUDITOR


def test_a_token_is_narrowed_to_what_it_was_made_for(tx: Connection, rng: SeededRng) -> None:
    rooms = [Room.STOCK, Room.RECORDS]
    narrow = tokens.make(tx, rng, name="n", role=Role.ADMIN, now=START, rooms=rooms)
    wide = tokens.make(tx, rng, name="w", role=Role.ADMIN, now=START)

    callers = [tokens.check(tx, one, now=START) for one in (narrow, wide)]

    may = [{room for room in Room if caller and caller.may_enter(room)} for caller in callers]
    assert may == [{Room.RECORDS, Room.STOCK}, set(Room)]
    assert callers[0] is not None
    assert not callers[0].may_enter("")  # what is in no room is not what it was made for
    assert [one["rooms"] for one in tokens.every(tx)] == ["records stock", ""]


@pytest.mark.parametrize("days", [1, 7, LONGEST_DAYS])
def test_r71_a_token_of_so_many_days_ends_with_them(
    tx: Connection, rng: SeededRng, days: int
) -> None:
    secret = tokens.make(tx, rng, name="a", role=Role.AUDITOR, now=START, days=days)
    end = START + timedelta(days=days)

    assert tokens.check(tx, secret, now=end - A_MOMENT) is not None
    assert tokens.check(tx, secret, now=end) is None


def test_r71_an_auditor_is_let_in_for_a_month_where_nobody_says(
    tx: Connection, rng: SeededRng
) -> None:
    secret = tokens.make(tx, rng, name="a", role=Role.AUDITOR, now=START)
    end = START + timedelta(days=30)

    assert tokens.check(tx, secret, now=end - A_MOMENT) is not None
    assert tokens.check(tx, secret, now=end) is None


@pytest.mark.parametrize("days", [0, -1, LONGEST_DAYS + 1])
def test_a_token_that_lasts_for_ever_or_not_at_all_is_refused(
    tx: Connection, rng: SeededRng, days: int
) -> None:
    with pytest.raises(TokenLifetimeError):
        tokens.make(tx, rng, name="a", role=Role.ADMIN, now=START, days=days)

    assert tokens.every(tx) == []


@pytest.mark.parametrize("name", ["nobody", "", "%", "clini_", "Clinic"])
def test_a_name_that_no_token_has_is_refused(tx: Connection, rng: SeededRng, name: str) -> None:
    tokens.make(tx, rng, name="clinic", role=Role.ADMIN, now=START)

    with pytest.raises(NoSuchTokenError):
        tokens.revoke(tx, name, now=START)


@pytest.mark.parametrize(
    "name", ["", " ", "two\nlines", "\x1b[2J", "a" * 81, "x\u202e", "-rf", "a:b", "\ud800", "[red]"]
)
def test_a_name_that_could_forge_a_line_is_refused(
    tx: Connection, rng: SeededRng, name: str
) -> None:
    with pytest.raises(TokenNameError) as refused:
        tokens.make(tx, rng, name=name, role=Role.ADMIN, now=START)

    assert tokens.every(tx) == []
    assert not name.strip() or name not in refused.value.message


@pytest.mark.parametrize("name", ["first", "a", "Clinic 2 (north)", "a-integrator", "ehr.feed_1@x"])
def test_a_name_that_people_read_is_taken(tx: Connection, rng: SeededRng, name: str) -> None:
    tokens.make(tx, rng, name=name, role=Role.ADMIN, now=START)

    assert [one["name"] for one in tokens.every(tx)] == [name]


def test_the_list_shows_no_secret_and_no_hash(tx: Connection, rng: SeededRng) -> None:
    for day, name in enumerate(("first", "second")):
        tokens.make(tx, rng, name=name, role=Role.ADMIN, now=START + timedelta(days=day))

    listed = tokens.every(tx)

    assert [one["name"] for one in listed] == ["first", "second"]
    times = {"created_at", "expires_at", "revoked_at", "last_used_at"}
    assert set(listed[0]) == {"name", "role", "rooms", "facade", *times}
    assert listed[0]["expires_at"] == "2027-05-04T09:00:00.000000Z"
