"""Who is told by webhooks, by command: each does what it says, and no secret is shown twice."""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhirbridge.access.sources import read_secret
from fhirbridge.cli import fhirbridge
from fhirbridge.fhir import codec
from tests.webhooks.receiving import HERE, Receiver, verified


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FHIRBRIDGE_HOME", str(tmp_path / "home"))
    assert CliRunner().invoke(fhirbridge, ["init"]).exit_code == 0
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.close()


def run(*words: str | Path) -> Result:
    named = [str(one) for one in words]
    return CliRunner().invoke(fhirbridge, ["webhook-endpoint", *named])


def add(receiver: Receiver, *words: str | Path) -> Result:
    return run("add", "clinic", receiver.url, "--allow-network", HERE[0], *words)


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = codec.decode(run("list", "--json").stdout.encode())
    return found


def test_r50_a_test_is_one_command_and_shows_what_was_signed_and_answered(
    receiver: Receiver,
) -> None:
    secret = add(receiver).stdout.strip()

    tried = run("test", "clinic")

    told = verified(receiver.seen[0], secret)
    assert (tried.exit_code, told["type"]) == (0, "webhook.test")
    assert f"signed:\n{receiver.ids[0]}." in tried.stdout
    assert tried.stdout.endswith("answer:\nthanks\n")
    assert "delivered 200" in tried.stderr


def test_r50_each_try_is_listed_and_shown(receiver: Receiver) -> None:
    add(receiver)
    receiver.orders = [500]

    words = ["webhook-endpoint", "test", "clinic"]
    assert CliRunner().invoke(fhirbridge, words, standalone_mode=False).return_value == 1
    (one,) = codec.decode(run("attempts", "clinic", "--json").stdout.encode())

    assert (one["status"], one["outcome"], one["reason"]) == (500, "failed", "answered 500")
    assert one["message"] in run("attempts", "clinic").stdout
    shown = codec.decode(run("attempts", "clinic", "--show", one["id"], "--json").stdout.encode())
    assert shown["answer"] == "no"
    assert shown["signed"] == f"{one['message']}.{one['signed_at']}." + (
        receiver.seen[0].body.decode()
    )
    assert run("attempts", "clinic", "--show", "nothing").exit_code == 1


def test_no_secret_is_ever_listed_and_a_rotated_one_ends(receiver: Receiver) -> None:
    first = add(receiver).stdout.strip()
    second = run("rotate", "clinic").stdout.strip()

    assert len(read_secret(first)) == len(read_secret(second)) == 32
    said = run("list").output + run("list", "--json").output
    assert first.removeprefix("whsec_") not in said
    assert second.removeprefix("whsec_") not in said
    assert [bool(one["expires_at"]) for one in listed()[0]["secrets"]] == [True, False]


def test_a_secret_goes_into_a_file_of_its_owner_alone(receiver: Receiver, home: Path) -> None:
    done = add(receiver, "--to", home / "secret")

    assert (done.exit_code, done.stdout) == (0, "")
    assert stat.S_IMODE((home / "secret").stat().st_mode) == 0o600
    assert len(read_secret((home / "secret").read_text().strip())) == 32


def test_it_is_disabled_enabled_replayed_to_and_removed(receiver: Receiver) -> None:
    add(receiver)

    assert run("disable", "clinic").exit_code == 0
    assert listed()[0]["disabled"] == "disabled by an operator"
    assert run("enable", "clinic").exit_code == 0
    assert listed()[0]["disabled"] == ""
    assert "0 messages" in run("replay", "clinic", "--since", "2026-01-01").output
    assert run("replay", "clinic", "--event", "0" * 32).exit_code == 1
    assert run("remove", "clinic").exit_code == 0
    assert listed() == []


def test_wrong_use_is_told() -> None:
    wrong = [
        ("replay", "clinic"),
        ("replay", "clinic", "--event", "x", "--since", "2026-01-01"),
        ("replay", "clinic", "--until", "2026-01-01"),
        ("add", "clinic", "https://example.org/", "--kind", "export.gone"),
    ]

    assert [run(*words).exit_code for words in wrong] == [2] * len(wrong)


def test_r48_what_cannot_be_told_is_refused_and_nothing_is_made(home: Path) -> None:
    for words in (
        ("http://example.org/",),
        ("https://127.0.0.1/",),
        ("https://10.20.0.1/", "--allow-network", "10.21.0.0/16"),
        ("https://example.org/", "--allow-network", "0.0.0.0/0"),
        ("https://example.org/", "--destination", "nobody"),
    ):
        done = run("add", "clinic", *words, "--to", home / "secret")

        assert done.exit_code == 1
        assert not (home / "secret").exists()
    assert listed() == []


def test_doctor_and_status_tell_of_one_that_takes_nothing(receiver: Receiver) -> None:
    add(receiver)
    run("disable", "clinic")

    doctor = CliRunner().invoke(fhirbridge, ["doctor", "--json"])
    status = CliRunner().invoke(fhirbridge, ["sync", "status", "--json"])

    assert "webhook to clinic" in doctor.stdout
    assert "webhook-endpoint enable clinic" in doctor.stdout
    (shown,) = codec.decode(status.stdout.encode())["webhooks"]
    assert (shown["name"], shown["disabled"]) == ("clinic", "disabled by an operator")
