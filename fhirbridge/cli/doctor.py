"""`fhirbridge doctor`: look for all that could stop deliveries, each with what to do next."""

from dataclasses import asdict

import click

from fhirbridge import log, opening, settings
from fhirbridge.bridge import Bridge
from fhirbridge.cli import printing
from fhirbridge.cli.opened import ACTOR
from fhirbridge.cli.printing import as_json
from fhirbridge.errors import BridgeError
from fhirbridge.overview import health
from fhirbridge.overview.health import Check


@click.command()
@as_json
def doctor(*, json_wanted: bool) -> int:
    """Look at settings, keys, database, disk, mappings, clock and every destination.

    Writes to no EHR. Exit status 1 where anything is wrong; each line says what to do next.
    """
    log.configure()
    checks = _examine()
    if json_wanted:
        printing.data({"good": all(c.good for c in checks), "checks": [asdict(c) for c in checks]})
    else:
        rows = [[one.name, "ok" if one.good else "WRONG", one.found, one.next] for one in checks]
        printing.table("fhirbridge", ["what", "", "found", "what to do next"], rows)
    return 0 if all(one.good for one in checks) else 1


def _examine() -> list[Check]:
    try:
        chosen = settings.read()
    except BridgeError as error:
        return [_wrong("settings", error)]
    checks = [Check(name="settings", good=True, found=f"home is {chosen.home}")]
    try:
        bridge = opening.open_bridge(chosen)
    except BridgeError as error:
        of_a_key = isinstance(error, opening.KEY_ERRORS)
        checks.append(health.of_disk(opening.disk_of(chosen)))
        return [*checks, _wrong("keys" if of_a_key else "database", error)]
    try:
        return [*checks, *_inside(bridge, told=bool(chosen.alert_command))]
    finally:
        bridge.close()


def _inside(bridge: Bridge, *, told: bool) -> list[Check]:
    kept, how = bridge.database()
    checks = [
        Check(name="keys", good=True, found="they are the ones this database was made with"),
        bridge.disk(),
        Check(name="database", good=True, found="whole, and of this program's schema"),
        Check(name=kept, good=True, found=how),
        _mappings(bridge),
    ]
    known = bridge.destinations()
    checks.append(health.of_alerts(known, told=told))
    for one in known:
        if one.is_facade:
            checks.append(health.of_facade(one))
            continue
        tested = bridge.test_destination(one.name, actor=ACTOR)
        checks += health.of_destination(one, tested, bridge.clock.now())
        checks += bridge.check_sign_in(one.name)
    if not known:
        what = "fhirbridge destination add NAME URL"
        checks.append(Check(name="destinations", good=True, found="there is none", next=what))
    return checks


def _mappings(bridge: Bridge) -> Check:
    try:
        digest = bridge.warm_up()
        refused = bridge.mappings().refused
    except BridgeError as error:
        return _wrong("mappings", error)
    also = "; a draft was refused since: fhirbridge map live" if refused else ""
    return Check(name="mappings", good=True, found=f"live {digest[:12]}{also}")


def _wrong(name: str, error: BridgeError) -> Check:
    return Check(name=name, good=False, found=f"{error.code} {error.message}", next=error.hint)
