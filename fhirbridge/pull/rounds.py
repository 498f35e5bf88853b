"""Ask every EHR about its patients again and again, in a thread of its own: no delivery waits."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from fhirbridge import log
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.errors import BridgeError
from fhirbridge.pull import views
from fhirbridge.pull.run import Pulled, Puller
from fhirbridge.reconcile.act import Rooms
from fhirbridge.store import moment
from fhirbridge.store.tables import record

ACTOR = "pull"
MOST_SILENT = 3  # in a row; then the EHR is left until the next round
LOOK_SECONDS = 300.0  # at most, between two looks who is due


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often each patient is asked about, and how long after the last record."""

    every: timedelta
    days: int


class Rounds:
    """Goes round until it is stopped; says when trouble begins and ends."""

    def __init__(self, rooms: Rooms, *, pace: Pace) -> None:
        self._rooms = rooms
        self._pace = pace
        self._puller = Puller(rooms)
        self._troubled: set[str] = set()
        self._tried: dict[tuple[str, str], str] = {}  # by destination and patient
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pull", daemon=True)

    def start(self) -> None:
        """Start the thread; after a fork, never before."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """End after the patient that is asked about."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def round(self) -> list[Pulled]:
        """Ask about everybody who is due; a silent EHR is left until the next round."""
        self._puller.expire()
        with self._rooms.store.read() as tx:
            known = [one for one in registry.every(tx) if one.pull and not one.paused]
        return [done for one in known for done in self._at(one)]

    def _at(self, where: Destination) -> list[Pulled]:
        found: list[Pulled] = []
        silent, lanes = 0, self._due(where)
        for lane in lanes:
            if self._stop.is_set() or silent >= MOST_SILENT:
                break
            # Whoever cannot be asked about waits his time as well, and keeps nobody else waiting.
            self._tried[where.name, lane] = moment.to_text(self._rooms.clock.now())
            done = self._pulled(where.name, lane)
            found += [] if done is None else [done]
            silent = 0 if done is not None and not done.is_unanswered else silent + 1
        if lanes:
            self._tell(where.name, silent > 0)
        return found

    def _due(self, where: Destination) -> list[str]:
        now = self._rooms.clock.now()
        with self._rooms.store.read() as tx:
            lanes = patients(tx, since=now - timedelta(days=self._pace.days))
            asked = views.last_asked(tx, where.name)
        last = {
            one: max(asked.get(one, ""), self._tried.get((where.name, one), "")) for one in lanes
        }
        # What was asked at a time that is not yet was asked before the clock was set back.
        waits = (moment.to_text(now - self._pace.every), moment.to_text(now))
        over = [one for one in lanes if not waits[0] < last[one] <= waits[1]]
        return sorted(over, key=lambda one: last[one])

    def _pulled(self, name: str, lane: str) -> Pulled | None:
        try:
            return self._puller.pull(name, lane, actor=ACTOR)
        except BridgeError as error:
            log.get().error("pull.failed", destination=name, lane=lane, code=error.code)
        except Exception as error:  # noqa: BLE001  a thread that ends asks nobody any more
            log.get().error("pull.failed", destination=name, lane=lane, kind=type(error).__name__)
        return None

    def _tell(self, name: str, silent: bool) -> None:  # noqa: FBT001  what was found
        if silent and name not in self._troubled:
            log.get().error("pull.broke_off", destination=name)
            self._troubled.add(name)
        elif not silent and name in self._troubled:
            log.get().info("pull.goes_on", destination=name)
            self._troubled.discard(name)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.round()
            except Exception as error:  # noqa: BLE001  as above
                log.get().error("pull.broke_off", kind=type(error).__name__)
            self._stop.wait(min(self._pace.every.total_seconds(), LOOK_SECONDS))


def patients(tx: Connection, *, since: datetime) -> list[str]:
    """Return our opaque names of patients with a record that counts, made since then."""
    chosen = select(record.c.patient_key).where(
        record.c.state == "current",
        record.c.in_error.is_(False),
        record.c.retracted == "",
        record.c.patient_key != "",
        record.c.recorded_at >= moment.to_text(since),
    )
    return sorted(tx.scalars(chosen.distinct()))
