"""What must hold when the storm is over and all is quiet again."""

from collections.abc import Callable, Iterator
from datetime import timedelta

from fhirbridge.fhir import codec, projection
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox.contents import Identity
from fhirbridge.outbox.states import BLOCKED
from fhirbridge.reports.table import Period
from fhirbridge.translate.values import TranslatedResource
from tests.factories import A_DAY
from tests.simulation.clinic import CANARY
from tests.simulation.invariants import tells_of_less
from tests.simulation.looking import Looker
from tests.simulation.place import EHR
from tests.simulation.scene import Scene
from tests.simulation.wire import BRIDGE, CLINICIAN, content

A_YEAR = timedelta(days=365)
Ending = Callable[[Scene], Iterator[str]]

UNDONE = f"""state IN ('held', 'parked')
    OR state = 'pending' AND reason LIKE '{BLOCKED}%'"""
OPEN = f"""state IN ('sending', 'unknown')
    OR state = 'pending' AND reason NOT LIKE '{BLOCKED}%'"""


def n11_the_ehr_shows_what_counts(scene: Scene) -> Iterator[str]:
    waiting = _waiting(scene) | _for_a_person(scene)
    for identity, made in scene.clinic.expected().items():
        if identity not in waiting and not _edited(scene, identity):
            yield from _differs(scene, identity, made)


def _differs(scene: Scene, identity: Identity, made: TranslatedResource | None) -> Iterator[str]:
    latest = scene.place.ehr.storage.latest(*identity)
    theirs = dict(latest.resource or {}) if latest is not None else None
    if made is None:
        if theirs is not None and theirs.get("status") != "entered-in-error":
            yield f"a {identity.type} that left its record is still shown as right"
    elif theirs is None:
        yield f"a {identity.type} is missing"
    elif not projection.same(made.body, theirs):
        yield f"a {identity.type} is not what counts now"


def _waiting(scene: Scene) -> set[Identity]:
    """What a person must decide first."""
    query = f"""SELECT type, resource_id FROM delivery_item
        WHERE delivery_id IN (SELECT id FROM delivery WHERE {UNDONE})"""
    return {Identity(*row) for row in scene.place.memory.rows(query)}


def _for_a_person(scene: Scene) -> set[Identity]:
    """What a person must put right in an EHR that lets nobody change it."""
    named = [one["resource"].partition("/") for one in scene.place.bridge.tasks()]
    return {Identity(kind, own) for kind, _, own in named}


def _edited(scene: Scene, identity: Identity) -> bool:
    """Say whether a clinician had the last word on it."""
    mine = [one for one in scene.wire.written if (one.version.type, one.version.id) == identity]
    return bool(mine) and mine[-1].name == CLINICIAN


def n11_nothing_stays_parked(scene: Scene) -> Iterator[str]:
    rightly = refused_for_good(scene)
    parked = "SELECT id, reason FROM delivery WHERE state = 'parked'"
    for own, reason in scene.place.memory.rows(parked):
        if own not in rightly:
            yield f"parked, though nothing is refused any more: {reason}"


def refused_for_good(scene: Scene) -> set[str]:
    """Return the parked deliveries of which the EHR is right to refuse something.

    It points to what a clinician removed: the EHR keeps no reference to nothing.
    """
    query = """SELECT delivery_id, resource FROM delivery_item JOIN delivery
        ON delivery.id = delivery_item.delivery_id
        WHERE delivery.state = 'parked' AND delivery_item.outcome = 'refused'"""
    return {
        own
        for own, resource in scene.place.memory.rows(query)
        if any(_was_removed(scene, *one) for one in literal_references(scene.place.body(resource)))
    }


def _was_removed(scene: Scene, kind: str, own: str) -> bool:
    latest = scene.place.ehr.storage.latest(kind, own)
    return latest is not None and latest.resource is None


def n13_each_version_lands_once_and_in_order(scene: Scene) -> Iterator[str]:
    """What the bridge wrote of a resource is what was pinned, in that order, each at most once."""
    pinned: dict[tuple[str, str], list[str]] = {}
    query = """SELECT type, resource_id, digest FROM delivery_item JOIN delivery
        ON delivery.id = delivery_item.delivery_id ORDER BY delivery.sequence"""
    for kind, own, digest in scene.place.memory.rows(query):
        pinned.setdefault((kind, own), []).append(digest)
    rest = {key: iter(digests) for key, digests in pinned.items()}
    for one in scene.wire.written:
        if one.name == BRIDGE and not tells_of_less(scene, one.version.type):
            digest = scene.place.vault.digest(codec.content_hash(content(one.version)))
            if digest not in rest.get((one.version.type, one.version.id), iter(())):
                yield f"a {one.version.type} has a version too many, or in another order"


def n15_all_is_quiet(scene: Scene) -> Iterator[str]:
    for state, reason in scene.place.memory.rows(
        f"SELECT state, reason FROM delivery WHERE {OPEN}"
    ):
        yield f"still {state}: {reason}"
    for (stuck,) in scene.place.memory.rows(_WAITS_FOR_NOTHING):
        yield f"waits for a delivery that is {stuck}"
    yield from _asks_again(scene, "a day later")


_WAITS_FOR_NOTHING = f"""SELECT other.state FROM delivery JOIN delivery other
    ON delivery.reason = '{BLOCKED}' || other.id
    WHERE delivery.state = 'pending' AND other.state IN ('delivered', 'superseded')"""


def n16_every_record_came_in_once(scene: Scene) -> Iterator[str]:
    clinic = scene.clinic
    kept = clinic.messages(scene.place.memory.rows("SELECT session_key, version FROM record"))
    if not len(kept) == len(clinic.said) == len(clinic.acked):
        yield f"{len(clinic.said)} were said, {len(clinic.acked)} taken, {len(kept)} kept"


def n17_saying_it_all_again_changes_nothing(scene: Scene) -> Iterator[str]:
    before = scene.place.memory.rows("SELECT count(*) FROM delivery")
    for one in reversed(scene.clinic.said):
        receipt = scene.place.bridge.accept(one.raw, actor="clinic")
        if receipt.state != "repeated":
            yield f"{one} was taken for new"
    if scene.place.memory.rows("SELECT count(*) FROM delivery") != before:
        yield "a repeat is owed again"
    yield from _asks_again(scene, "after all was said again")


def n18_a_look_finds_nothing_lost(scene: Scene) -> Iterator[str]:
    """Of a restored EHR, the ledger says what is there; what differs, a clinician touched."""
    if not scene.wire.lost:
        return
    report = Looker(scene).whole()
    if report is None or report.repaired or report.stop:
        yield "the EHR still lacks something that it lost"
    touched = {one.version.reference for one in scene.wire.written if one.name == CLINICIAN}
    for one in scene.place.bridge.drift(EHR):
        if f"{one['type']}/{one['resource_id']}" not in touched:
            yield f"a {one['type']} is called {one['kind']}, and nobody touched it"


def n19_every_record_is_accounted_for(scene: Scene) -> Iterator[str]:
    """The report of completeness knows where each resource of each record version went."""
    bridge = scene.place.bridge
    since = scene.place.clock.now().date() - A_YEAR
    made = bridge.completeness(
        Period(since=since, until=since + 2 * A_YEAR), destination="", actor="test"
    )
    table = next(one for one in made.tables if one.name == "not-explained")
    for _, _, resource, why in table.rows:
        yield f"{resource or 'a record'}: {why}"


def n7_nothing_at_rest_is_readable(scene: Scene) -> Iterator[str]:
    if CANARY.encode() in scene.place.memory.image():
        yield "the database names a patient in the clear"


def _asks_again(scene: Scene, when: str) -> Iterator[str]:
    scene.place.clock.advance(A_DAY)
    before = len(scene.wire.sent)
    scene.place.sync()
    if len(scene.wire.sent) != before:
        yield f"{len(scene.wire.sent) - before} requests {when}"


AT_END: tuple[Ending, ...] = (
    n11_the_ehr_shows_what_counts,
    n11_nothing_stays_parked,
    n13_each_version_lands_once_and_in_order,
    n15_all_is_quiet,
    n16_every_record_came_in_once,
    n17_saying_it_all_again_changes_nothing,
    n18_a_look_finds_nothing_lost,
    n19_every_record_is_accounted_for,
    n7_nothing_at_rest_is_readable,
)
