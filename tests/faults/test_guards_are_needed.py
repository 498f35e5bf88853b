"""Without its guard, a row's test fails: none of them passes by chance."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from requests import PreparedRequest
from requests.utils import get_environ_proxies

from fhirbridge.deliver import answer, bundle, limits, prepare, stopping
from fhirbridge.deliver.bundle import Landed, Send
from fhirbridge.deliver.work import Work
from fhirbridge.egress import body, connections, transport
from fhirbridge.egress.connections import Adapter
from fhirbridge.egress.exchange import Request, Response
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.egress.way import Way
from fhirbridge.egress.wire import Call
from fhirbridge.fhir import codec, projection
from fhirbridge.outbox import backoff
from tests.egress import fake_server
from tests.faults import (
    test_answers,
    test_no_success,
    test_the_way,
    test_what_it_holds,
    test_who_it_is,
)
from tests.faults.conftest import MakePlace
from tests.faults.place import Place
from tests.faults.test_who_it_is import Keys

Patch = pytest.MonkeyPatch
A_CENTURY = timedelta(days=36_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the tests of rows ask for."""

    make_place: MakePlace
    keys: Keys
    patch: Patch
    take_away: Callable[[Patch], None]

    def place(self) -> Place:
        """A place that worked until the guard was taken away."""
        made = self.make_place()
        made.know_the_clinic()
        self.take_away(self.patch)
        return made

    def unguarded(self) -> MakePlace:
        self.take_away(self.patch)
        return self.make_place


def follow_redirects(patch: Patch) -> None:
    once = HttpTransport._exchange

    def follow(self: HttpTransport, request: Request, call: Call) -> Response:
        found = once(self, request, call)
        if "location" not in found.headers:
            return found
        there = Request(method="GET", url=found.headers["location"], headers=request.headers)
        return once(self, there, call)

    patch.setattr(HttpTransport, "_exchange", follow)


def obey_the_environment(patch: Patch) -> None:
    def through(self: Adapter, request: PreparedRequest, *_: object, **__: object) -> Any:
        proxy = get_environ_proxies(request.url or "")["http"]
        return self.proxy_manager_for(proxy).connection_from_url(request.url)

    patch.setattr(Adapter, "get_connection_with_tls_context", through)


def read_without_a_cap(patch: Patch) -> None:
    def joined(pieces: Iterator[bytes], _most: int) -> bytes:
        return b"".join(pieces)

    patch.setattr(body, "_joined", joined)
    patch.setattr(Call, "spend", lambda _self, _size: None)


def wait_as_long_as_bytes_come(patch: Patch) -> None:
    patch.setattr(Call, "remaining", lambda _self: 10.0)


def verify_nobody(patch: Patch) -> None:
    def trusting(_ca_file: Path | None, _way: Way) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    patch.setattr(transport, "trust", trusting)
    connect = connections._Tls.connect

    def anybody(self: connections._Tls) -> None:
        self.cert_reqs = "CERT_NONE"
        connect(self)
        self.is_verified = True  # else urllib3 warns

    patch.setattr(connections._Tls, "connect", anybody)


def speak_any_tls(patch: Patch) -> None:
    def lax(ca_file: Path | None, way: Way) -> ssl.SSLContext:
        context = connections.trust(ca_file, way)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        return context

    patch.setattr(transport, "trust", lax)


def take_any_id(patch: Patch) -> None:
    def landed(sends: tuple[Send, ...], _answer: dict[str, Any]) -> tuple[Landed, ...]:
        return tuple(
            Landed(identity=one.identity, version="1", created=True, ehr_id=one.identity.id)
            for one in sends
        )

    patch.setattr(bundle, "landed", landed)


def take_any_copy(patch: Patch) -> None:
    patch.setattr(projection, "same", lambda _ours, _theirs: True)


def write_to_anybody(patch: Patch) -> None:
    patch.setattr(bundle, "foreign_patients", lambda _sends, _subject: False)


def wait_as_long_as_is_asked(patch: Patch) -> None:
    patch.setattr(backoff, "LONGEST_ASKED", A_CENTURY)
    patch.setattr(limits, "LONGEST_ASKED", A_CENTURY)


def send_again_blindly(patch: Patch) -> None:
    patch.setattr(Work, "in_doubt", lambda _self: [])


def write_without_if_match(patch: Patch) -> None:
    guarded = bundle.transaction

    def bare(sends: tuple[Send, ...]) -> bytes:
        whole = codec.decode(guarded(sends))
        for entry in whole["entry"]:
            del entry["request"]["ifMatch"]
        return codec.encode(whole)

    patch.setattr(bundle, "transaction", bare)


def take_a_412_for_a_refusal(patch: Patch) -> None:
    patch.setattr(answer, "CONFLICT_STATUS", frozenset({409}))


def write_on_after_a_merge(patch: Patch) -> None:
    patch.setattr(prepare, "_merged", lambda _tx, _row: "")


def never_ask_what_it_promises(patch: Patch) -> None:
    patch.setattr(stopping, "note_test", lambda *_, **__: None)


def o17(scene: Scene) -> None:
    test_the_way.test_o17_a_redirect_is_never_followed_parks_and_is_told(
        scene.place(), "307 Temporary Redirect"
    )


def proxies(scene: Scene) -> None:
    test_the_way.test_s08_a_proxy_of_the_environment_gets_no_request(scene.place(), scene.patch)


def o16(made: Callable[[Place], fake_server.Step], reason: str) -> Callable[[Scene], None]:
    check = test_the_way.test_o16_an_answer_without_end_is_given_up_and_read_back
    return lambda scene: check(scene.place(), made, reason)


def o18(kind: str) -> Callable[[Scene], None]:
    check = (
        test_who_it_is.test_o18_who_is_not_proven_to_be_the_ehr_gets_nothing_and_the_reason_is_said
    )
    return lambda scene: check(scene.unguarded(), scene.keys, kind)


def o14_id(scene: Scene) -> None:
    test_no_success.test_o14_o20_an_answer_that_does_not_account_for_each_entry_is_read_back(
        scene.place(), "another id"
    )


def o14_copy(scene: Scene) -> None:
    test_no_success.test_o14_a_read_back_of_another_patient_is_held_and_told(scene.place())


def o14_ours(scene: Scene) -> None:
    test_no_success.test_o14_what_names_another_patient_of_ours_is_never_sent(scene.place())


def o12(scene: Scene) -> None:
    test_answers.test_o12_retry_after_is_heeded_within_a_day(
        scene.place(), "ten years in seconds", test_answers.UNAVAILABLE
    )


def o03(scene: Scene) -> None:
    test_answers.test_o03_an_answer_lost_after_commit_is_read_back(
        scene.place(), fake_server.commit_then_reset
    )


def o04(scene: Scene) -> None:
    test_answers.test_o04_a_late_copy_changes_nothing(scene.place(), exists=True)


def o10(scene: Scene) -> None:
    test_answers.test_o09_o10_a_conflict_that_is_our_own_write_is_adopted(
        scene.place(), "412 Precondition Failed"
    )


def o23(scene: Scene) -> None:
    test_what_it_holds.test_o23_nothing_goes_to_a_patient_who_is_out_of_use_there(
        scene.place(), "replaced"
    )


def o27(scene: Scene) -> None:
    test_what_it_holds.test_o27_a_server_that_promises_something_else_is_paused_and_told(
        scene.place()
    )


NEEDED: list[tuple[Callable[[Patch], None], Callable[[Scene], None]]] = [
    (follow_redirects, o17),
    (obey_the_environment, proxies),
    (read_without_a_cap, o16(test_the_way.bomb, "answer: too large")),
    (wait_as_long_as_bytes_come, o16(test_the_way.dripped, "answer: timeout")),
    (verify_nobody, o18("expired")),
    (speak_any_tls, o18("tls 1.0")),
    (take_any_id, o14_id),
    (take_any_copy, o14_copy),
    (write_to_anybody, o14_ours),
    (wait_as_long_as_is_asked, o12),
    (send_again_blindly, o03),
    (write_without_if_match, o04),
    (take_a_412_for_a_refusal, o10),
    (write_on_after_a_merge, o23),
    (never_ask_what_it_promises, o27),
]


@pytest.mark.parametrize(
    ("take_away", "check"), NEEDED, ids=[taken.__name__ for taken, _ in NEEDED]
)
def test_without_its_guard_a_rows_test_fails(
    make_place: MakePlace,
    tmp_path: Path,
    monkeypatch: Patch,
    take_away: Callable[[Patch], None],
    check: Callable[[Scene], None],
) -> None:
    keys = Keys(tmp_path)
    scene = Scene(make_place=make_place, keys=keys, patch=monkeypatch, take_away=take_away)

    with pytest.raises(AssertionError):
        check(scene)
