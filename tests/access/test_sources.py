"""R43: each sender has secrets of its own, which change without a message being lost."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook

from fhirbridge.access import signature
from fhirbridge.access.signature import NotFreshError, NotSignedError
from fhirbridge.access.sources import MOST, NoSuchSourceError, Source, SourceError
from fhirbridge.store.hook_tables import webhook_secret
from fhirbridge.store.tables import evidence, payload_key
from tests.factories import World
from tests.mapping_sets import few_mappings

A_DAY = timedelta(hours=24)
A_MOMENT = timedelta(seconds=1)
GIVEN = "whsec_ZmhpcmJyaWRnZSB0ZXN0IHNlY3JldCwgbm9ib2R5J3M="
BODY = "{}"


@pytest.fixture
def world() -> World:
    return World(mapped=few_mappings)


def add(world: World, name: str = "clinic", given: str | None = None) -> str:
    return world.bridge.add_source(name, given, actor="test")


def rotate(world: World, given: str | None = None) -> str:
    return world.bridge.rotate_source("clinic", given, actor="test")


def knock(world: World, secret: str, *, late: timedelta = timedelta(0)) -> Source:
    at = world.clock.now() - late
    head = signature.head(
        {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign("msg_1", at, BODY),
        }
    )
    return world.bridge.verify(head, BODY.encode())


def test_r43_a_sender_is_known_by_its_secret(world: World) -> None:
    first, second = add(world, "clinic"), add(world, "lab")

    assert knock(world, first).name == "clinic"
    assert knock(world, second).name == "lab"
    assert knock(world, second).actor == "webhook:lab"


def test_a_secret_that_the_sender_made_is_taken(world: World) -> None:
    assert add(world, given=GIVEN) == GIVEN
    assert knock(world, GIVEN).name == "clinic"


def test_r43_after_a_rotation_both_are_good_for_a_day_and_that_is_shown(world: World) -> None:
    old = add(world)
    world.clock.advance(A_DAY)
    new = rotate(world)
    ends = (world.clock.now() + A_DAY).strftime("%Y-%m-%dT%H:%M")

    [shown] = world.bridge.sources()
    assert [one["expires_at"][:16] for one in shown["secrets"]] == [ends, ""]
    world.clock.advance(A_DAY - A_MOMENT)
    assert knock(world, old).name == knock(world, new).name == "clinic"
    world.clock.advance(A_MOMENT)
    assert knock(world, new).name == "clinic"
    with pytest.raises(NotSignedError):
        knock(world, old)


def test_i09_what_is_rotated_out_twice_is_gone_at_once(world: World) -> None:
    first = add(world)
    second, third = rotate(world), rotate(world)

    assert knock(world, second).name == knock(world, third).name == "clinic"
    with pytest.raises(NotSignedError):
        knock(world, first)


def test_i09_a_revoked_source_is_refused_at_once_and_its_secrets_are_erased(world: World) -> None:
    secrets = [add(world), rotate(world)]

    world.bridge.revoke_source("clinic", actor="test")

    for secret in secrets:
        with pytest.raises(NotSignedError):
            knock(world, secret)
    with world.store.read() as tx:
        assert set(tx.scalars(select(webhook_secret.c.sealed))) == {None}
        kept = select(payload_key.c.wrapped).where(payload_key.c.owner.startswith("webhook:"))
        assert set(tx.scalars(kept)) == {None}


def test_a_revoked_source_comes_back_as_the_same_sender_with_another_secret(world: World) -> None:
    old = add(world)
    before = knock(world, old)
    world.bridge.revoke_source("clinic", actor="test")

    new = add(world)

    assert knock(world, new) == before
    with pytest.raises(NotSignedError):
        knock(world, old)


def test_a_restored_copy_lets_no_sender_in(world: World) -> None:
    secret = add(world)

    world.bridge.note_restore(made_at="2026-05-01T00:00:00.000000Z", actor="test")

    with pytest.raises(NotSignedError):
        knock(world, secret)


@pytest.mark.parametrize("minutes", [5.02, -5.02, 60, -60, 60 * 24 * 365])
def test_i06_what_was_signed_for_another_time_is_refused(world: World, minutes: float) -> None:
    secret = add(world)

    with pytest.raises(NotFreshError):
        knock(world, secret, late=timedelta(minutes=minutes))
    assert knock(world, secret, late=timedelta(minutes=4.9)).name == "clinic"
    assert knock(world, secret, late=-timedelta(minutes=4.9)).name == "clinic"


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + "A" * 44,
        "whsec_" + "QUJD" * 30,
        "not base64 at all, and long enough to be one!",
        "whsec_ZmhpcmJyaWRnZSB0ZXN0IHNlY3JldCwgbm9ib2R5J3M",
        "geheim-é" * 6,
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(world: World, secret: str) -> None:
    with pytest.raises(SourceError) as refused:
        add(world, given=secret)

    assert refused.value.message.startswith("a secret is whsec_ and then 24 to 64 bytes")
    assert world.bridge.sources() == []


def test_two_sources_cannot_have_one_secret(world: World) -> None:
    add(world, "clinic", GIVEN)

    with pytest.raises(SourceError):
        add(world, "lab", GIVEN)
    with pytest.raises(SourceError):
        rotate(world, GIVEN)


def test_names_are_plain_and_one_each_and_not_many(world: World) -> None:
    for name in ("", "\n", "a" * 81, "../x"):
        with pytest.raises(SourceError):
            add(world, name)
    for number in range(MOST):
        add(world, f"sender {number}")
    with pytest.raises(SourceError):
        add(world, "sender 0")
    with pytest.raises(SourceError):
        add(world, "one more")
    with pytest.raises(NoSuchSourceError):
        world.bridge.rotate_source("nobody", None, actor="test")
    with pytest.raises(NoSuchSourceError):
        world.bridge.revoke_source("nobody", actor="test")


def test_no_secret_is_in_the_database_or_in_the_evidence(world: World) -> None:
    secret = add(world)
    key = secret.removeprefix("whsec_")
    rotate(world)
    world.bridge.revoke_source("clinic", actor="test")

    with world.store.read() as tx:
        rows = [str(row) for row in tx.execute(select(evidence))]
        noted = tx.scalars(select(evidence.c.action).where(evidence.c.action.contains("source")))
        assert sorted(noted) == [
            "webhook.source-added",
            "webhook.source-revoked",
            "webhook.source-rotated",
        ]
    assert not [row for row in rows if key in row]
    assert key not in str(world.bridge.sources())


def test_i10_many_that_are_off_by_as_much_raise_one_alert_that_ends(world: World) -> None:
    secret = add(world)

    def refused(number: int) -> None:
        at = world.clock.now() - timedelta(hours=1)
        named = f"msg_{number}"
        head = signature.head(
            {
                "webhook-id": named,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": Webhook(secret).sign(named, at, BODY),
            }
        )
        with pytest.raises(NotFreshError):
            world.bridge.verify(head, BODY.encode())

    for number in range(20):
        refused(number)
        world.clock.advance(A_MOMENT)
        world.bridge.check_alerts()
    world.clock.advance(timedelta(minutes=20))
    world.bridge.check_alerts()

    assert [(one["kind"], one["cause"], one["what"]) for one in world.told] == [
        ("skew", "clinic", "started"),
        ("skew", "clinic", "ended"),
    ]
