"""What operators set about how each EHR is reached and signed in to."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fhirbridge.audit.log import Action
from fhirbridge.deliver import ledger, traffic
from fhirbridge.destinations import registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination, Patients, Policy
from fhirbridge.destinations.taken import Taken
from fhirbridge.ehr.probe import Tested
from fhirbridge.operating import Operating
from fhirbridge.overview.health import Check
from fhirbridge.profiles.profile_file import Profile
from fhirbridge.reconcile import renewed, stops
from fhirbridge.signin import certificates, diagnosis, keys, methods, promotion, scopes
from fhirbridge.signin.book import Kept
from fhirbridge.signin.diagnosis import Step
from fhirbridge.signin.keys import Algorithm, SigningKey, Stage
from fhirbridge.signin.methods import NO_SECRETS, OPEN, Change, Method, SignIn, SignInError
from fhirbridge.signin.tokens import Tokens
from fhirbridge.store import moment

SOON = timedelta(days=30)


class Connecting(Operating):
    """Everything about sign-in that a door may ask for."""

    # --- sign-in ------------------------------------------------------------------------------

    def sign_in(self, name: str) -> SignIn:
        """Return how we sign in to a destination; nothing secret."""
        with self._store.read() as tx:
            registry.get(tx, name)
            return self._kept(tx, name).settings

    def lacking(self, name: str) -> str:
        """Say what of a destination's sign-in is missing, or return an empty text."""
        with self._store.read() as tx:
            return self._lacking(tx, registry.get(tx, name))

    def set_sign_in(self, name: str, change: Change, *, actor: str) -> SignIn:
        """Change how we sign in; holds from the next request on, in all processes.

        Raises SignInError, BadProxyError, BadCertificateError; then nothing is changed.
        """
        with self._store.begin() as tx:
            known = registry.get(tx, name)
            registry.check_is_server(known)
            kept = self._book.change(tx, name, change)
            lacking = self._lacking(tx, known)
            if lacking and _is_open(kept):
                raise _not_open(known.base_url)
            self._note_sign_in(tx, kept, change, actor=actor)
            return kept.settings

    def _note_sign_in(self, tx: Any, kept: Kept, change: Change, *, actor: str) -> None:
        detail = {"method": kept.settings.method.value, "changed": change.names}
        self._note(tx, actor, Action.SIGN_IN_SET, destination=kept.destination, detail=detail)

    def _kept(self, tx: Any, name: str) -> Kept:
        found = self._book.find(tx, name)
        return found or Kept(id="", destination=name, settings=OPEN, secrets=NO_SECRETS)

    def _lacking(self, tx: Any, known: Destination) -> str:
        kept, signs = self._kept(tx, known.name), self._keys.signs(tx, known.name)
        return methods.lacking(kept.settings, kept.secrets, known.base_url, signs=signs)

    def _begin_sign_in(self, tx: Any, new: Destination, change: Change, *, actor: str) -> None:
        """Set the sign-in of a destination that is about to be added; it must be complete."""
        self._book.forget(tx, new.name)  # what a destination of that name left behind
        kept = self._book.change(tx, new.name, change)
        lacking = self._lacking(tx, new)
        if lacking:
            if _is_open(kept):
                raise _not_open(new.base_url)
            raise SignInError(f"{lacking} is missing", hint="nothing was added")
        self._note_sign_in(tx, kept, change, actor=actor)

    # --- keys ---------------------------------------------------------------------------------

    def make_key(self, name: str, algorithm: Algorithm, *, actor: str) -> SigningKey:
        """Make a key for a destination, which need not be there yet, and publish it."""
        return self._add_key(name, keys.make(algorithm), actor)

    def import_key(self, name: str, pem: bytes, *, actor: str) -> SigningKey:
        """Take in a private key that was made elsewhere. Raises SigningKeyError."""
        return self._add_key(name, keys.from_pem(pem), actor)

    def _add_key(self, name: str, key: Any, actor: str) -> SigningKey:
        with self._store.begin() as tx:
            made = self._keys.add(tx, name, key)
            self._note_key(tx, made, actor)
            return made

    def use_key(self, name: str, kid: str, *, at_once: bool, actor: str) -> SigningKey:
        """Sign with this key from now on. Raises SigningKeyError."""
        with self._store.begin() as tx:
            used = self._keys.use(tx, name, kid, at_once=at_once)
            self._note_key(tx, used, actor)
            return used

    def retire_key(self, name: str, kid: str, *, at_once: bool, actor: str) -> SigningKey:
        """Publish this key no more, and erase it. Raises SigningKeyError."""
        with self._store.begin() as tx:
            retired = self._keys.retire(tx, name, kid, at_once=at_once)
            self._note_key(tx, retired, actor)
            return retired

    def _note_key(self, tx: Any, key: SigningKey, actor: str) -> None:
        detail = {"kid": key.kid, "stage": key.stage.value, "algorithm": key.algorithm.value}
        self._note(tx, actor, Action.SIGN_IN_KEY, destination=key.destination, detail=detail)

    def signing_keys(self, name: str = "") -> list[SigningKey]:
        """Return the keys of one destination or of all, the oldest first; nothing secret."""
        with self._store.read() as tx:
            return self._keys.every(tx, name)

    def jwks(self, name: str = "") -> dict[str, Any]:
        """Return the JWK Set by which EHRs verify us: public keys only."""
        with self._store.read() as tx:
            return self._keys.published(tx, name)

    # --- what it takes ------------------------------------------------------------------------

    def set_types(self, name: str, chosen: Mapping[str, Taken], *, actor: str) -> Destination:
        """Choose how a destination gets these types; what it takes from now on is owed to it.

        Raises TypesError; then nothing is changed.
        """
        with self._store.begin() as tx:
            self._set_types(tx, name, chosen, actor=actor)
            return registry.get(tx, name)

    def _set_types(self, tx: Any, name: str, chosen: Mapping[str, Taken], *, actor: str) -> None:
        before = registry.get(tx, name)
        registry.set_types(tx, name, {**before.types, **chosen})
        sent = [k for k, one in chosen.items() if one is Taken.SEND and before.leaves(k)]
        owed = renewed.owe_types(self._reconcile_rooms(), tx, self._intake, name, sent)
        detail = {**{kind: one.value for kind, one in chosen.items()}, "owed": owed}
        self._note(tx, actor, Action.DESTINATION_TYPES, destination=name, detail=detail)

    def use_profile(self, name: str, profile: Profile, *, actor: str) -> Destination:
        """Set a destination up as a profile says; what that leaves out stays.

        Raises DestinationError or TypesError; then nothing is changed.
        """
        with self._store.begin() as tx:
            known = registry.get(tx, name)
            if profile.patients is not None:
                patients = replace(known.patients, policy=profile.patients)
                self._set_patients(tx, name, patients, actor=actor)
            if profile.limits != LimitChange():
                traffic.limit(tx, self._audit, name, profile.limits, actor=actor)
            if profile.requires_consent:
                registry.require_consent(tx, name)
            if profile.forbids_weak_guard and known.weak:
                registry.allow_weak_guard(tx, name, allowed=False)
            if profile.mode is not None:
                registry.declare(tx, name, profile.mode)
                self._catch_up(tx, known)
            if profile.types:
                self._set_types(tx, name, profile.types, actor=actor)
            stops.enforce(tx)
            found = registry.get(tx, name)
            detail = {"profile": profile.name, "mode": found.mode.value}
            self._note(tx, actor, Action.DESTINATION_PROFILE, destination=name, detail=detail)
            return found

    def _catch_up(self, tx: Any, before: Destination) -> None:
        """Owe a destination that only created what it did not take of changes, if it takes them."""
        now = registry.get(tx, before.name)
        if before.only_creates and now.mode not in (Mode.UNPROVEN, Mode.CREATE_ONLY):
            renewed.owe_changes(self._reconcile_rooms(), tx, before.name)

    def set_patients(self, name: str, patients: Patients, *, actor: str) -> Destination:
        """Choose whose Patients ours point to; refused where ours were made already."""
        with self._store.begin() as tx:
            self._set_patients(tx, name, patients, actor=actor)
            return registry.get(tx, name)

    def _set_patients(self, tx: Any, name: str, patients: Patients, *, actor: str) -> None:
        made = ledger.made_patients(tx, name)
        if made and patients.policy is Policy.MATCH:
            raise DestinationError(
                f"{made} patients of ours were made at {name} already",
                hint="have them merged there, or link them one by one: fhirbridge patient link",
            )
        registry.get(tx, name)
        registry.set_patients(tx, name, patients)
        detail = patients.columns()
        self._note(tx, actor, Action.PATIENT_POLICY, destination=name, detail=detail)

    # --- from test to production --------------------------------------------------------------

    def export_destination(self, name: str, *, actor: str) -> dict[str, Any]:
        """Return a destination's settings as a file holds them: no secrets, no keys."""
        with self._store.begin() as tx:
            known = registry.get(tx, name)
            registry.check_is_server(known)
            self._note(tx, actor, Action.DESTINATION_EXPORTED, destination=name)
            return promotion.to_file(known, self._kept(tx, name).settings)

    def import_destination(
        self, raw: bytes, *, name: str = "", base_url: str = "", actor: str
    ) -> Destination:
        """Add a destination as a file says, paused and not probed; asks no EHR.

        Raises DestinationFileError, DestinationError, SignInError.
        """
        carried = promotion.from_file(raw, name=name, base_url=base_url)
        new = carried.destination
        with self._store.begin() as tx:
            registry.add(tx, new, at=moment.to_text(self.clock.now()))
            self._book.forget(tx, new.name)
            kept = self._book.change(tx, new.name, carried.sign_in)
            detail = {
                "imported": True,
                "requires_consent": new.requires_consent,
                "overlay": new.overlay,
            }
            self._note(tx, actor, Action.DESTINATION_ADDED, destination=new.name, detail=detail)
            self._note_sign_in(tx, kept, carried.sign_in, actor=actor)
            self._intake.owe_backlog(tx, new.name)
            return registry.get(tx, new.name)

    # --- look ---------------------------------------------------------------------------------

    def explain_test(self, name: str, tested: Tested) -> tuple[Step, ...]:
        """Say step by step, in plain words, what a test of a destination found."""
        with self._store.read() as tx:
            settings = self._kept(tx, name).settings
            token = Tokens(store=self._store, vault=self._parts.vault, clock=self.clock).look(
                tx, name
            )
        granted = token.scopes if token is not None and token.version else settings.scopes
        lost = scopes.not_granted(settings.scopes, granted)
        return diagnosis.steps(tested, self.clock.now(), lost)

    def check_sign_in(self, name: str) -> list[Check]:
        """Judge what of a destination's sign-in runs out, or is missing."""
        with self._store.read() as tx:
            known, kept = registry.get(tx, name), self._kept(tx, name)
            if known.is_facade:
                return []
            lacking, signing = self._lacking(tx, known), self._keys.every(tx, name)
        now = self.clock.now()
        found = []
        if lacking:
            what = f"fhirbridge destination sign-in {name}"
            found.append(
                Check(name=f"sign-in to {name}", good=False, found=f"no {lacking}", next=what)
            )
        for option, pem in (
            ("--certificate", kept.settings.certificate),
            ("--ca-file", kept.settings.authorities),
        ):
            if pem:
                found.append(_certificates(name, option, pem, now))
        if kept.settings.method is Method.SMART:
            found += [_key(one, now) for one in signing if one.stage is Stage.USED]
        return found


def _is_open(kept: Kept) -> bool:
    return kept.settings.method is Method.NONE and not kept.settings.certificate


def _not_open(base_url: str) -> SignInError:
    return SignInError(
        f"{base_url} is another machine, and no way to sign in to it is given",
        hint="give --sign-in bearer, basic or smart, or a --certificate; "
        "--no-sign-in where that server really asks nobody who he is",
    )


def _certificates(name: str, option: str, pem: str, now: datetime) -> Check:
    first = min(certificates.read(pem, option), key=lambda one: one.ends)
    days = (first.ends - now).days
    good = first.ends - now > SOON
    return Check(
        name=f"{option} of {name}",
        good=good,
        found=f"{first.subject}: {'expired' if days < 0 else f'{days} days left'}",
        next="" if good else f"renew it, then: fhirbridge destination sign-in {name} {option} FILE",
    )


def _key(key: SigningKey, now: datetime) -> Check:
    days = (now - key.since).days
    old = now - key.since > keys.OLD
    return Check(
        name=f"key of {key.destination}",
        good=True,
        found=f"{key.kid[:12]} ({key.algorithm}) signs since {days} days",
        next=f"change it: fhirbridge destination keys new {key.destination}" if old else "",
    )
