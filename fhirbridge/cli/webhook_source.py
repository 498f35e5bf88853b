"""`fhirbridge webhook-source`: who may send signed messages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fhirbridge.cli import printing
from fhirbridge.cli.handing import Handing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.cli.sign_in_options import read_secret

GOOD = "until it is rotated"


def secret_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command take a secret from a file, or hand a new one over in one."""
    given = click.option(
        "--secret-file",
        type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
        help="The secret (whsec_…) that the sender made; - for stdin. Without it, one is made.",
    )
    to = click.option(
        "--to",
        "target",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the new secret to this new file (mode 0600) instead of printing it.",
    )
    return given(to(command))


@click.group()
def webhook_source() -> None:
    """Say who may send signed messages (Standard Webhooks) to /webhooks/v1/sessions."""


@webhook_source.command()
@click.argument("name")
@secret_options
def add(name: str, *, secret_file: Path | None, target: Path | None) -> None:
    """Let the system NAME send signed messages; its secret is printed once.

    One that was revoked comes back with another secret.
    """
    given = _given(secret_file, target)
    with opened() as bridge, Handing(target, "the sender") as handing:
        handing.over(bridge.add_source(name, given, actor=ACTOR), was_given=given is not None)
    printing.words(f"Source {name} may send. Its address: /webhooks/v1/sessions")


@webhook_source.command()
@click.argument("name")
@secret_options
def rotate(name: str, *, secret_file: Path | None, target: Path | None) -> None:
    """Give the source NAME another secret; the one before it is good for 24 hours more.

    One that was rotated out before is refused at once.
    """
    given = _given(secret_file, target)
    with opened() as bridge, Handing(target, "the sender") as handing:
        handing.over(bridge.rotate_source(name, given, actor=ACTOR), was_given=given is not None)
    printing.words(f"Source {name} has another secret. The one before it ends in 24 hours.")


@webhook_source.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Refuse all that the source NAME sends from now on, and erase its secrets."""
    with opened() as bridge:
        bridge.revoke_source(name, actor=ACTOR)
    printing.words(f"Source {name} is revoked.")


@webhook_source.command("list")
@as_json
def list_all(*, json_wanted: bool) -> None:
    """List sources and until when each secret is good; no secret."""
    with opened() as bridge:
        found = bridge.sources()
    if json_wanted:
        printing.data(found)
        return
    rows = [
        [one["name"], one["added_at"], one["revoked_at"], secret["made_at"], _end(secret)]
        for one in found
        for secret in one["secrets"] or [{"made_at": "", "expires_at": ""}]
    ]
    columns = ["name", "added", "revoked", "secret of", "good until"]
    printing.table("Webhook sources", columns, rows)


def _end(secret: dict[str, str]) -> str:
    return secret["expires_at"] or (GOOD if secret["made_at"] else "")


def _given(secret_file: Path | None, target: Path | None) -> str | None:
    if secret_file is not None and target is not None:
        raise click.UsageError("give --secret-file or --to, not both: a given secret is known")
    return None if secret_file is None else read_secret(secret_file, "--secret-file").strip()
