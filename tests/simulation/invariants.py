"""What must hold after each step. Each yields what is wrong, in words that hold no patient."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from fhirbridge.audit.log import leaf_hash
from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.states import ALLOWED, BLOCKED, EDITED, GONE, POISON, REFUSED, STUCK, State
from tests.simulation import clinic
from tests.simulation.clinic import CANARY, PATIENTS
from tests.simulation.scene import EVIDENCE, News, Scene, Worker
from tests.simulation.wire import BRIDGE, CLINICIAN, author_of

Check = Callable[[Scene, News], Iterator[str]]

MOST_REQUESTS = 40  # of one EHR within a minute; a storm of repeats makes hundreds
MOST_RUNS = 5
MOST_ERRORS = 5
TRY_LATER = frozenset({0, 408, 423, 425, 429, 503})
NO_REFUSAL = frozenset({0, 200, 201, 408, 409, 410, 412, 423, 425, 429, 500, 502, 503, 504})
PATIENT_OF = {clinic.patient_key(one): one for one in PATIENTS}


def n1_what_was_acknowledged_is_stored(scene: Scene, _news: News) -> Iterator[str]:
    stored = dict(scene.place.memory.rows("SELECT id, version FROM record"))
    for one, receipt in scene.clinic.acked.items():
        if stored.get(receipt, 0) < one.version:
            yield f"{one} was acknowledged and is not stored"


def n2_every_current_version_is_owed(scene: Scene, _news: News) -> Iterator[str]:
    query = """SELECT version FROM record WHERE state = 'current' AND NOT EXISTS
        (SELECT 1 FROM delivery WHERE record_id = record.id AND destination = 'ehr')"""
    for (version,) in scene.place.memory.rows(query):
        yield f"a current version {version} has no delivery"


def n3_nobody_is_overwritten(scene: Scene, news: News) -> Iterator[str]:
    authors = author_of(scene.wire.written) if news.written else {}
    for one in news.written:
        before = (one.version.reference, one.version.number - 1)
        if one.name == BRIDGE and authors.get(before) == CLINICIAN:
            yield f"{_short(one.version.reference)}: a clinician's edit was overwritten"


def n4_one_resource_for_each_thing(scene: Scene, news: News) -> Iterator[str]:
    if not news.written:
        return
    ids: dict[tuple[str, str], set[str]] = {}
    for version in scene.place.ehr.storage.living():
        for identifier in (version.resource or {}).get("identifier", ())[:1]:
            ids.setdefault((version.type, identifier["value"]), set()).add(version.id)
    for (kind, _), own in ids.items():
        if len(own) > 1:
            yield f"the EHR has {len(own)} times the same {kind}"


def n5_states_go_their_ways(_scene: Scene, news: News) -> Iterator[str]:
    for move in news.moves:
        if move.before and State(move.after) not in ALLOWED[State(move.before)]:
            yield f"a delivery went from {move.before} to {move.after}"
    for row in news.of("delivery.changed"):
        if codec.decode(row["detail"].encode())["from"] in STUCK and row["actor"] == "worker":
            yield "a worker let go what waits for a person"


def n6_every_move_has_evidence(_scene: Scene, news: News) -> Iterator[str]:
    seen = Counter((one.delivery, one.before, one.after) for one in news.moves)
    noted: Counter[tuple[str, str, str]] = Counter()
    for row in news.of("delivery.changed"):
        detail = codec.decode(row["detail"].encode())
        noted[row["delivery_id"], detail["from"], detail["to"]] += 1
    noted.update((row["delivery_id"], "", row["outcome"]) for row in news.of("delivery.queued"))
    if seen != noted:
        yield f"moves {sorted(seen.values())}, evidence {sorted(noted.values())}"
    for row in news.evidence:
        if leaf_hash(row["salt"], {name: row[name] for name in EVIDENCE}) != row["leaf"]:
            yield "an evidence row is not what its leaf says"


def n7_no_patient_outside_the_seal(_scene: Scene, news: News) -> Iterator[str]:
    if any(CANARY in request.url for request in news.requests):
        yield "a URL names a patient"
    if any(CANARY in row["detail"] for row in news.evidence):
        yield "an evidence row names a patient"


def n8_no_storm_of_requests(scene: Scene, news: News) -> Iterator[str]:
    """What failed waits a while, and nobody is asked too often."""
    told = scene.at_work.told[-1:] if scene.at_work else []
    if told and told[0] in TRY_LATER:
        query = """SELECT due_at FROM delivery WHERE id = ? AND state = 'pending'
            AND due_at <= changed_at AND reason NOT LIKE ?"""
        for row in news.of("delivery.changed"):
            if scene.place.memory.rows(query, row["delivery_id"], f"{BLOCKED}%"):
                yield "what failed is due again at once"
    since = scene.place.clock.monotonic() - 60
    if sum(at > since for at in scene.wire.times[-MOST_REQUESTS - 1 :]) > MOST_REQUESTS:
        yield f"more than {MOST_REQUESTS} requests within a minute"


def n9_nothing_goes_without_consent(scene: Scene, news: News) -> Iterator[str]:
    worker = scene.at_work
    if worker is None or worker.lane.lane == SHARED_LANE or worker.might_share:
        return
    if news.sent() and not may_share(scene, worker):
        yield "a record was sent whose patient withdrew the consent to share it"


def n10_only_its_own_patient(scene: Scene, news: News) -> Iterator[str]:
    worker = scene.at_work
    if worker is None:
        return
    patient = PATIENT_OF.get(worker.lane.lane)
    own = {clinic.patient_id(patient)} if patient else set()
    for resource in news.sent():
        named = {one for kind, one in literal_references(resource) if kind == "Patient"}
        if resource["resourceType"] == "Patient":
            named.add(resource["id"])
        if not named <= own:
            yield f"a {resource['resourceType']} names another patient than its record"


def n11_parked_for_a_reason(scene: Scene, news: News) -> Iterator[str]:
    """What is set aside was refused for good, or stopped its worker again and again."""
    for delivery, reason in _reasons(news, State.PARKED):
        told = scene.heard.get(delivery, [])
        if reason.startswith(POISON):
            runs = scene.unfinished[scene.at_work.lane] if scene.at_work else 0
            if runs < MOST_RUNS:
                yield f"parked as poison after {runs} runs without an end"
        elif not reason.startswith(REFUSED):
            yield f"parked: {reason}"
        elif NO_REFUSAL.issuperset(told) and _unclear(told) < MOST_ERRORS:
            yield f"parked though nothing was refused: {reason}"


def n12_no_false_conflict(scene: Scene, news: News) -> Iterator[str]:
    """What waits for a person was really edited, removed, lost in a restore or withdrawn."""
    for _, reason in _reasons(news, State.HELD):
        worker = scene.at_work
        touched = {one.version.reference for one in scene.wire.written if one.name == CLINICIAN}
        touched |= set(scene.wire.lost)
        if reason.startswith("consent:"):
            real = worker is not None and not may_share(scene, worker)
        elif reason.startswith((EDITED, GONE)):
            real = any(name.strip(",") in touched for name in reason.split())
        else:
            real = False
        if not real:
            yield f"held without a cause: {reason.partition(' ')[0]}"


def n13_only_what_was_lost_is_repaired(scene: Scene, news: News) -> Iterator[str]:
    """Each time that the EHR lost something of a resource, it is brought back once at most."""
    if not any(row["actor"] == "reconcile" for row in news.of("delivery.queued")):
        return
    query = """SELECT type || '/' || resource_id, count(*) FROM delivery_item
        WHERE delivery_id IN (SELECT id FROM delivery WHERE repairs) GROUP BY 1"""
    for reference, times in scene.place.memory.rows(query):
        if times > scene.wire.lost[reference]:
            yield f"{_short(reference)} is repaired for the {times}. time"


def n14_one_after_the_other(scene: Scene, news: News) -> Iterator[str]:
    """A patient's deliveries begin in the order of their records, each as it was pinned."""
    for row in news.of("delivery.started"):
        # What may be under way is read back first, whatever an operator put before it again.
        if codec.decode(row["detail"].encode())["step"] != "send":
            continue
        query = """SELECT earlier.state FROM delivery own JOIN delivery earlier
            ON earlier.destination = own.destination AND earlier.lane = own.lane
            AND earlier.sequence < own.sequence
            WHERE own.id = ? AND (earlier.state IN ('sending', 'unknown')
            OR earlier.state = 'pending' AND earlier.reason NOT LIKE ?)"""
        for (state,) in scene.place.memory.rows(query, row["delivery_id"], f"{BLOCKED}%"):
            yield f"a delivery began before an earlier one that is {state}"
    yield from _not_pinned(scene, news)


def _not_pinned(scene: Scene, news: News) -> Iterator[str]:
    worker = scene.at_work
    if worker is None or not (sent := news.sent()):
        return
    query = "SELECT type, resource_id, digest FROM delivery_item WHERE delivery_id = ?"
    pinned = set(scene.place.memory.rows(query, worker.delivery))
    named = {(kind, own) for kind, own, _ in pinned}
    for one in sent:
        if tells_of_less(scene, one["resourceType"]) and ("Provenance", one.get("id")) in named:
            continue
        digest = scene.place.vault.digest(codec.content_hash(one))
        if (one["resourceType"], one.get("id"), digest) not in pinned:
            yield f"a {one['resourceType']} was sent that its delivery does not carry"


def tells_of_less(scene: Scene, kind: str) -> bool:
    """Say whether it is a Provenance of which the EHR gets what its delivery really changed."""
    return kind == "Provenance" and scene.place.mode is Mode.CREATE_ONLY


EACH_STEP: tuple[Check, ...] = (
    n1_what_was_acknowledged_is_stored,
    n2_every_current_version_is_owed,
    n3_nobody_is_overwritten,
    n4_one_resource_for_each_thing,
    n5_states_go_their_ways,
    n6_every_move_has_evidence,
    n7_no_patient_outside_the_seal,
    n8_no_storm_of_requests,
    n9_nothing_goes_without_consent,
    n10_only_its_own_patient,
    n11_parked_for_a_reason,
    n12_no_false_conflict,
    n13_only_what_was_lost_is_repaired,
    n14_one_after_the_other,
)


def may_share(scene: Scene, worker: Worker) -> bool:
    """Say whether the lane's patient agrees now."""
    patient = PATIENT_OF.get(worker.lane.lane)
    if patient is None:
        return True
    rows = scene.place.memory.rows("SELECT session_key, version FROM record")
    return scene.clinic.may_share(patient, scene.clinic.messages(rows))


def _reasons(news: News, state: State) -> list[tuple[str, str]]:
    """What came to this state now, and why."""
    details: list[tuple[str, dict[str, Any]]] = [
        (row["delivery_id"], codec.decode(row["detail"].encode()))
        for row in news.of("delivery.changed")
    ]
    return [(own, str(one["reason"])) for own, one in details if one["to"] == state]


def _unclear(answers: list[int]) -> int:
    """How often the EHR answered without saying what it did."""
    return sum(status >= 500 or status in (200, 410) for status in answers)


def _short(reference: str) -> str:
    kind, _, own = reference.partition("/")
    return f"{kind}/{own[:8]}"
