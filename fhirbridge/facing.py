"""What may be asked for about facades: what readers pull from us. Holds no rules."""

from fhirbridge.audit.log import Action
from fhirbridge.destinations import addresses, registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.profiles.profile_file import NO_PROFILE, Profile
from fhirbridge.removing import Removing
from fhirbridge.store import moment


class Facing(Removing):
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
