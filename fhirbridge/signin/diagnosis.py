"""What a test of a destination found, step by step and in plain words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from fhirbridge.ehr.probe import Tested
from fhirbridge.signin.grant import LARGEST_SKEW, apart_words

NAMES = ("address", "connection", "TLS", "sign-in", "access", "clock")
_STEP_OF = {
    "policy": "address",
    "dns": "address",
    "connect": "connection",
    "proxy": "connection",
    "tls": "TLS",
    "sign-in": "sign-in",
}
_WORDS = {
    "dns: no such name": "no machine has this name",
    "dns: server failed": "the DNS server of this machine does not answer",
    "dns: timeout": "the DNS server of this machine does not answer",
    "policy: plain http": "its address begins with http:, and nothing leaves this machine unsealed",
    "connect: refused": "the machine is there, and nothing listens on that port",
    "connect: timeout": "nothing answers there: a firewall, or a wrong address",
    "connect: unreachable": "this machine has no way there",
    "tls: unknown issuer": "its certificate comes from an authority that is not trusted here",
    "tls: self-signed certificate": "its certificate is signed by itself",
    "tls: certificate expired": "its certificate has expired",
    "tls: certificate not valid yet": "its certificate is not valid yet, or our clock is behind",
    "tls: certificate of another name": "its certificate is that of another name",
    "tls: client certificate wanted": "it wants a certificate of ours, and got none",
    "tls: client certificate refused": "it does not take our certificate",
    "tls: not a TLS server": "what answers there does not speak TLS",
    "tls: version too old": "it speaks TLS older than 1.2",
}
_NEXT = {
    "address": "check the address; a network inside must be named: destination add … --network",
    "connection": "ask your network's people; a proxy is named by --proxy",
    "TLS": "a private authority is named by --ca-file; else ask the EHR's people",
    "sign-in": "ask the EHR's people whether they know our client id, and our public keys",
    "access": "ask the EHR's people for what is missing",
    "clock": "set this machine's clock by NTP",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step on the way in. `good` is None where it was not reached, or is not known."""

    name: str
    good: bool | None
    found: str = ""
    next: str = ""


def steps(tested: Tested, now: datetime, not_granted: Sequence[str] = ()) -> tuple[Step, ...]:
    """Return every step, in order; the first that failed says why, later ones were not reached."""
    failed, words = _failure(tested, not_granted)
    reached = NAMES.index(failed) if failed else len(NAMES)
    found = [
        Step(name=name, good=True) if number < reached else Step(name=name, good=None)
        for number, name in enumerate(NAMES[:-1])
    ]
    if failed:
        found[reached] = Step(name=failed, good=False, found=words, next=_NEXT[failed])
    return (*found, _clock(tested, now))


def _failure(tested: Tested, not_granted: Sequence[str]) -> tuple[str, str]:
    if tested.why:
        if tested.why.startswith("tls: client certificate"):
            return "sign-in", _WORDS[tested.why]
        step = _STEP_OF.get(tested.why.partition(":")[0], "connection")
        return step, _WORDS.get(tested.why, tested.why.removeprefix("sign-in: "))
    if tested.status == HTTPStatus.UNAUTHORIZED:
        return "sign-in", tested.reason
    if not (tested.signed_in and tested.answers):
        return "access", tested.reason
    if not_granted:
        return "access", f"asked for and not granted: {' '.join(not_granted)}"
    return "", ""


def _clock(tested: Tested, now: datetime) -> Step:
    if tested.server_time is None:
        return Step(name="clock", good=None)
    apart = now - tested.server_time
    if abs(apart) <= LARGEST_SKEW:
        return Step(name="clock", good=True)
    found = f"this machine's clock is {apart_words(apart)} the EHR's"
    return Step(name="clock", good=False, found=found, next=_NEXT["clock"])
