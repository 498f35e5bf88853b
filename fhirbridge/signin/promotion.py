"""A destination's settings as a file, to be taken from a test system to the real one. No secrets.

What was seen of the server, its state and our keys stay behind: another server is another server.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from fhirbridge.destinations import addresses, registry, theirs
from fhirbridge.destinations import taken as of_types
from fhirbridge.destinations.limits import Limits
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination, Patients, Policy
from fhirbridge.destinations.taken import Taken
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.signin.methods import Change, SignIn

FORMAT = "fhirbridge/destination/v1"
FIELDS = {
    "format": str,
    "name": str,
    "base_url": str,
    "requires_consent": bool,
    "overlay": str,
    "networks": list,
    "limits": dict,
    "patients": dict,
    "declared": str,
    "types": dict,
    "theirs": dict,
    "sign_in": dict,
}


NEW_FIELDS: dict[str, Any] = {
    "declared": "",
    "types": {},
    "theirs": {},
}  # a file of before has none


class DestinationFileError(BridgeError):
    """A file is not one that `destination export` wrote."""

    code = "E423"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a file says: a destination that is not proven, and how to sign in to it."""

    destination: Destination
    sign_in: Change


def to_file(destination: Destination, sign_in: SignIn) -> dict[str, Any]:
    """Return the settings as JSON takes them."""
    return {
        "format": FORMAT,
        "name": destination.name,
        "base_url": destination.base_url,
        "requires_consent": destination.requires_consent,
        "overlay": destination.overlay,
        "networks": list(destination.networks),
        "limits": destination.limits.plain(),
        "patients": destination.patients.plain(),
        "declared": destination.declared,
        "types": {kind: one.value for kind, one in destination.types.items()},
        "theirs": dict(destination.theirs),
        "sign_in": sign_in.plain(),
    }


def from_file(raw: bytes, *, name: str, base_url: str) -> Carried:
    """Read a file; `name` and `base_url` replace what it says, where they are given.

    Raises DestinationFileError that names the field, DestinationError or SignInError.
    """
    said = _checked(raw)
    destination = Destination(
        name=name or said["name"],
        base_url=addresses.checked_url(base_url or said["base_url"]),
        mode=Mode.UNPROVEN,
        traits={},
        requires_consent=said["requires_consent"],
        test_server=False,
        overlay=said["overlay"],
        networks=addresses.checked_networks([str(one) for one in said["networks"]]),
        paused=registry.NOT_PROVEN,
        limits=_limits(said["limits"]),
        patients=_patients(said["patients"]),
        declared=_declared(said["declared"]),
        types=_types(said["types"]),
        theirs=theirs.checked(
            {kind: str(one) for kind, one in said["theirs"].items()}, _patients(said["patients"])
        ),
    )
    # That no sign-in is needed was said of another server.
    sign_in = replace(SignIn.of(said["sign_in"]), open_allowed=False)
    return Carried(destination=destination, sign_in=Change(**sign_in.plain()))


def _checked(raw: bytes) -> dict[str, Any]:
    try:
        said = codec.decode(raw)
    except codec.NotJsonError:
        said = None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise DestinationFileError(
            f"this is not a file of the format {FORMAT}",
            hint="write one with: fhirbridge destination export NAME > FILE",
        )
    said = {**NEW_FIELDS, **said}
    for field, kind in FIELDS.items():
        if not isinstance(said.get(field), kind):
            raise DestinationFileError(f"the file has no usable {field}")
    unknown = sorted(said.keys() - FIELDS.keys())
    if unknown:
        raise DestinationFileError(f"the file has a field that nobody knows: {unknown[0][:40]}")
    return said


def _declared(said: str) -> str:
    if said not in ("", Mode.CREATE_ONLY):
        raise DestinationFileError("the file has no usable declared mode")
    return said


def _types(said: dict[str, Any]) -> dict[str, Taken]:
    if not set(said.values()) <= set(Taken):
        raise DestinationFileError("the file has no usable types: send, skip or note of each")
    found = {kind: Taken(one) for kind, one in said.items()}
    of_types.check(found)
    return found


def _patients(said: dict[str, Any]) -> Patients:
    policy, systems = said.get("policy"), said.get("systems")
    if policy not in set(Policy) or not isinstance(systems, dict):
        raise DestinationFileError("the file has no usable patients: policy, systems")
    return Patients(policy=Policy(policy), systems={key: str(one) for key, one in systems.items()})


def _limits(said: dict[str, Any]) -> Limits:
    rps, concurrent, per_day = (said.get(name) for name in ("rps", "concurrent", "per_day"))
    numbers = isinstance(rps, int | Decimal) and not isinstance(rps, bool)
    if not numbers or type(concurrent) is not int or type(per_day) is not int:
        raise DestinationFileError("the file has no usable limits: rps, concurrent, per_day")
    return Limits(rps=float(str(rps)), concurrent=concurrent, per_day=per_day)
