"""P13, P11: a standby takes over that had not heard the last commits; a dump that is read back."""

import subprocess
from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict

from fhirbridge.sandbox.storage import Version
from fhirbridge.store import lineage
from fhirbridge.store.engine import Store
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import SeededRng
from tests.mapping_sets import few_mappings
from tests.postgres import server
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres


@pytest.fixture
def primary() -> Iterator[Server]:
    """A server of its own: this one is killed."""
    with server.running() as made:
        yield made


def either(first: Server, second: Server, url: str) -> str:
    """Return the URL of whichever of two takes writes, as an administrator would set it."""
    name = conninfo_to_dict(url)["dbname"]
    hosts = "&".join(f"host=127.0.0.1:{one.port}" for one in (first, second))
    passfile = first.folder / "pgpass"
    more = f"target_session_attrs=read-write&passfile={passfile}"
    return f"postgresql://{server.USER}@/{name}?{hosts}&{more}"


def observations(held: tuple[Version, ...]) -> list[Version]:
    return [one for one in held if one.type == "Observation"]


def test_p13_p11_after_a_failover_that_lost_commits_all_is_compared_before_anything_is_sent(
    primary: Server,
) -> None:
    with server.standby_of(primary) as standby:
        url = either(primary, standby, primary.database())
        world = World(url=url, mapped=few_mappings)
        world.connect()
        record = a_short_visit()
        world.take(record)
        primary.caught_up(standby)
        standby.cut_off()
        second = amended(record, rate(90))
        world.take(second)  # delivered, and known to nobody but the primary and the EHR
        there = world.ehr.model.snapshot()

        primary.process.kill()
        standby.take_over()
        world.sync()

        kinds = [one.detail for one in world.evidence("reconcile.run")]
        assert any('"full":true' in one for one in kinds)
        assert world.paused() == ""
        assert world.ehr.model.snapshot() == there  # nothing was turned back

        world.accept(second)  # as its sender does who asks what became of it
        world.sync()
        world.settle(days=1)

        assert set(world.states()) == {"delivered"}
        assert observations(world.ehr.model.snapshot()) == observations(there)
        world.store.close()


def test_p13_a_standby_that_heard_everything_is_compared_too_and_nothing_is_written(
    primary: Server,
) -> None:
    with server.standby_of(primary) as standby:
        world = World(url=either(primary, standby, primary.database()), mapped=few_mappings)
        world.connect()
        world.take(a_short_visit())
        primary.caught_up(standby)
        there = world.ehr.model.snapshot()

        primary.process.kill()
        standby.take_over()
        world.sync()

        assert (world.paused(), world.ehr.model.snapshot()) == ("", there)
        assert set(world.states()) == {"delivered"}
        world.store.close()


def test_p11_a_dump_that_is_read_back_is_noticed_once(postgres: Server) -> None:
    url, empty = postgres.database(), postgres.database(made=False)
    assert [turn(url), turn(url)] == [True, True]
    dump = [str(server.programs() / "pg_dump"), "--format=custom", "--dbname", url]
    taken = subprocess.run(dump, check=True, capture_output=True)
    restore = [str(server.programs() / "pg_restore"), "--dbname", empty]
    subprocess.run(restore, check=True, input=taken.stdout)

    assert [turn(empty), turn(empty)] == [False, True]
    postgres.drop(url)
    postgres.drop(empty)


def turn(url: str) -> bool:
    store = Store(url)
    with store.begin() as tx:
        is_ours = lineage.turn(tx, store, SeededRng())
    store.close()
    return is_ours
