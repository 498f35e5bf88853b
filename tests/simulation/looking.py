"""Comparing the EHR with the ledger, as a running bridge does it, and as an operator may."""

from fhirbridge.errors import BridgeError
from fhirbridge.reconcile.asking import NoAnswerError
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.watch import Watch
from fhirbridge.store.engine import StoreBusyError
from tests.simulation.place import EHR
from tests.simulation.scene import Scene

MOST_REQUESTS = 60  # of one look
NO_TROUBLE = ("", NoAnswerError.code, StoreBusyError.code)


class Looker:
    """Looks when it is told; `due`: the EHR was restored and nobody has looked since."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._watch = self._begun()
        self.due = False

    def _begun(self) -> Watch:
        return self._scene.place.bridge.watch(seconds=60)

    def begin_again(self) -> None:
        """Look with a process that knows nothing of the killed one."""
        self._watch = self._begun()

    def look(self) -> str:
        """Look as the background does; return what broke it off, or ""."""
        wire = self._scene.wire
        before, wire.looking = len(wire.sent), True
        try:
            self._watch.round()
        finally:
            wire.looking = False
        trouble = self._watch._troubled.get(EHR, "")
        self._scene.say(f"a look at the EHR: {trouble or 'done'}, {len(wire.sent) - before} asked")
        self.due = self.due and bool(trouble)
        if len(wire.sent) - before > MOST_REQUESTS:
            return f"{len(wire.sent) - before} requests for one look"
        return "" if trouble in NO_TROUBLE else trouble

    def repair(self) -> None:
        """The operator has made sure that it is the right EHR: it gets all that it lost."""
        report = self.whole(repair=True)
        if report is not None:
            self._scene.say(f"the operator has {report.repaired} repaired")

    def whole(self, *, repair: bool = False) -> Report | None:
        """Look at all of it by an operator's word; None where it could not be asked."""
        wire = self._scene.wire
        wire.looking = True
        try:
            report = self._scene.place.bridge.reconcile(
                EHR, full=True, repair=repair, actor="operator"
            )
        except BridgeError as error:
            if error.code not in NO_TROUBLE:
                raise
            return None
        finally:
            wire.looking = False
        self.due = False
        return report
