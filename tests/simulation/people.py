"""What people do: clinicians and administrators of the EHR, and the bridge's own operator."""

from datetime import timedelta
from random import Random

from fhirbridge.reconcile.stops import RESTORED
from fhirbridge.sandbox.storage import Version
from tests.simulation.looking import Looker
from tests.simulation.scene import Scene
from tests.simulation.wire import CLINICIAN

A_RESTORE = timedelta(hours=1)


class People:
    """The hands beside the program's."""

    def __init__(self, scene: Scene, chance: Random, looker: Looker) -> None:
        self._scene = scene
        self._chance = chance
        self._looker = looker
        self._backup: tuple[Version, ...] = scene.place.ehr.model.snapshot()

    def edit(self) -> None:
        """A clinician changes something of ours, without our guards."""
        scene = self._scene
        living = [one.reference for one in scene.place.ehr.storage.living()]
        ours = [one for one in living if one.startswith(("Observation/", "Patient/"))]
        if ours and not self._looker.due:
            reference = self._chance.choice(ours)
            note = [{"text": f"seen {len(scene.wire.written)}"}]
            change = {"note": note} if reference.startswith("Obs") else {"photo": [{"title": "x"}]}
            scene.place.ehr.edit(reference, **change)
            scene.wire.note(CLINICIAN)
            scene.counts["edits"] += 1
            scene.say(f"a clinician edits {reference[:20]}")

    def remove(self) -> None:
        """A clinician takes something away."""
        scene = self._scene
        living = list(scene.place.ehr.storage.living("Observation"))
        if living and not self._looker.due:
            gone = self._chance.choice(living).reference
            scene.place.ehr.delete(gone)
            scene.wire.note(CLINICIAN)
            scene.counts["removals"] += 1
            scene.say(f"a clinician removes {gone[:20]}")

    def back_up(self) -> None:
        self._backup = self._scene.place.ehr.model.snapshot()
        self._scene.say(f"the EHR is backed up at {len(self._backup)} versions")

    def restore(self) -> None:
        """The EHR goes back to its backup, which takes an hour, and counts versions anew.

        Nobody edits there before it was looked at: an edit that gets the number of a lost version
        of ours is no other to a guard by number.
        """
        scene = self._scene
        lost = scene.wire.go_back(self._backup)
        scene.place.clock.advance(A_RESTORE)
        if lost:
            self._looker.due = True
            scene.counts["restores"] += 1
        scene.say(f"the EHR goes back to its backup: {lost} versions are lost")

    def operate(self) -> None:
        """An operator sends again what is stuck, and lets a paused EHR have its letters."""
        place = self._scene.place
        if self.let_go():
            return
        stuck = place.memory.rows("SELECT id FROM delivery WHERE state IN ('held', 'parked')")
        if stuck and place.retry(self._chance.choice(stuck)[0]):
            self._scene.say("the operator sends a stuck delivery again")

    def put_right(self) -> None:
        """The operator has seen what the trouble was: all of it is sent once more."""
        self.let_go()
        self._scene.place.retry()

    def let_go(self) -> bool:
        """End a pause as its reason asks; False where there is none."""
        paused = self._scene.place.paused()
        if paused.startswith(RESTORED):
            self._looker.repair()
        elif paused:
            self._scene.place.resume()
            self._scene.say("the operator resumes the EHR")
        return bool(paused)
