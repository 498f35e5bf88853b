"""What may be asked for about facades: what readers pull from us. Holds no rules."""

from collections.abc import Callable
from typing import Any

from fhirbridge.access.tokens import Principal
from fhirbridge.audit.log import Action
from fhirbridge.destinations import addresses, registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.errors import BridgeError
from fhirbridge.facade.desk import Asked, Desk, Shown
from fhirbridge.facade.errors import NotThereError
from fhirbridge.facade.parameters import TYPES
from fhirbridge.keeping import Keeping
from fhirbridge.profiles.profile_file import NO_PROFILE, Profile
from fhirbridge.store import moment


class Facing(Keeping):
    """What a door may ask for about facades."""

    def add_facade(
        self,
        *,
        name: str,
        base_url: str,
        requires_consent: bool,
        overlay: str = "",
        profile: Profile = NO_PROFILE,
        actor: str,
    ) -> Destination:
        """Add a destination that is read from, at `base_url`, and owe it every current record.

        Raises DestinationError; then nothing was added.
        """
        new = Destination(
            name=name,
            base_url=addresses.checked_url(base_url),
            mode=Mode.FACADE,
            traits={},
            requires_consent=requires_consent,
            test_server=False,
            overlay=overlay,
            networks=(),
            paused="",
            types=profile.types,
        )
        with self._store.begin() as tx:
            now = self.clock.now()
            registry.add(tx, new, at=moment.to_text(now))
            self._shelf.begin(tx, name, at=now)
            detail = {
                "facade": True,
                "requires_consent": requires_consent,
                "overlay": overlay,
                "profile": profile.name,
            }
            self._note(tx, actor, Action.DESTINATION_ADDED, destination=name, detail=detail)
            self._intake.owe_backlog(tx, name)
            return registry.get(tx, name)

    def _check_is_facade(self, tx: Any, name: str) -> None:
        if not registry.get(tx, name).is_facade:
            raise DestinationError(
                f"{name} is no facade: nobody reads from it",
                hint="fhirbridge destination add-facade NAME URL",
            )

    def facade_resource(self, reader: Principal, kind: str, own: str, number: str = "") -> Shown:
        """Show a reader one resource, or one version of it; noted before it is shown. Holds PHI.

        Raises FacadeError; that is noted too.
        """
        how = "vread" if number else "read"
        return self._shown(reader, how, kind, lambda desk: desk.version(kind, own, number))

    def facade_page(self, reader: Principal, asked: Asked) -> Shown:
        """Show a reader one page of what is asked for; noted before it is shown. Holds PHI.

        Raises FacadeError; that is noted too.
        """
        return self._shown(reader, asked.way, asked.kind, lambda desk: desk.page(asked))

    def _shown(
        self, reader: Principal, how: str, kind: str, look: Callable[[Desk], Shown]
    ) -> Shown:
        # An unknown type is the reader's own text: it is not kept.
        what: dict[str, Any] = {"interaction": how, "type": kind if kind in TYPES else ""}
        try:
            with self._store.read() as tx:
                desk = Desk(tx, self._parts.vault, reader.facade, now=self.clock.now())
                shown = look(desk)
        except BridgeError as error:
            outcome = "not found" if isinstance(error, NotThereError) else "refused"
            self._note_reading(reader, outcome, {**what, "reason": error.code})
            raise
        self._note_reading(reader, "ok", {**what, **shown.detail})
        return shown

    def _note_reading(self, reader: Principal, outcome: str, detail: dict[str, Any]) -> None:
        with self._store.begin() as tx:
            self._note(
                tx,
                reader.actor,
                Action.FACADE_READ,
                outcome=outcome,
                destination=reader.facade,
                detail=detail,
            )
