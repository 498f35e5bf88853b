"""`fhirbridge destination keys`: what signs for a destination, from its making to its end."""

from pathlib import Path
from typing import IO

import click

from fhirbridge.cli import printing, sign_in_options
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.fhir import codec
from fhirbridge.signin.keys import Algorithm, SigningKey, Stage

JWKS = "/.well-known/jwks.json"

at_once = click.option("--now", "at_once", is_flag=True, help="Do not wait as long as is safe.")


@click.group()
def keys() -> None:
    """Make, list, export, use and retire the keys that sign for a destination (smart).

    The public part of each is published at /.well-known/jwks.json as soon as it is made.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--algorithm",
    type=click.Choice([one.value for one in Algorithm]),
    default=Algorithm.ES384.value,
)
@click.option(
    "--from-file",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    help="Take in this private key (PEM) instead of making one.",
)
@as_json
def new(name: str, *, algorithm: str, from_file: Path | None, json_wanted: bool) -> None:
    """Make a key for NAME and publish it. The first one signs at once, a later one after `use`."""
    with opened() as bridge:
        if from_file is None:
            made = bridge.make_key(name, Algorithm(algorithm), actor=ACTOR)
        else:
            pem = sign_in_options.read_secret(from_file, "--from-file").encode("ascii", "replace")
            made = bridge.import_key(name, pem, actor=ACTOR)
    _show([made], json_wanted=json_wanted)
    if made.stage is Stage.USED:
        printing.words(f"Give the EHR's people our address with {JWKS}, or a file:")
        printing.words(f"  fhirbridge destination keys export {name} FILE")
    else:
        printing.words("Where they have our keys as a file, give them a new one now.")
        printing.words(f"In a day: fhirbridge destination keys use {name} {made.kid[:12]}")


@keys.command("list")
@click.argument("name", default="")
@as_json
def list_all(name: str, *, json_wanted: bool) -> None:
    """List the keys of NAME, or all."""
    with opened() as bridge:
        _show(bridge.signing_keys(name), json_wanted=json_wanted)


@keys.command()
@click.argument("name")
@click.argument("file", type=click.File("wb", atomic=True))
def export(name: str, file: IO[bytes]) -> None:
    """Write the public keys of NAME to FILE (a JWK Set), where our address cannot be reached."""
    with opened() as bridge:
        file.write(codec.encode(bridge.jwks(name)) + b"\n")


@keys.command()
@click.argument("name")
@click.argument("kid")
@at_once
@as_json
def use(name: str, kid: str, *, at_once: bool, json_wanted: bool) -> None:
    """Sign for NAME with KID (or the start of it) from now on; a day after it was published."""
    with opened() as bridge:
        used = bridge.use_key(name, kid, at_once=at_once, actor=ACTOR)
    _show([used], json_wanted=json_wanted)
    printing.words(f"Later: fhirbridge destination keys retire {name} and the one before")


@keys.command()
@click.argument("name")
@click.argument("kid")
@at_once
@as_json
def retire(name: str, kid: str, *, at_once: bool, json_wanted: bool) -> None:
    """Publish KID of NAME no more, and erase it."""
    with opened() as bridge:
        retired = bridge.retire_key(name, kid, at_once=at_once, actor=ACTOR)
    _show([retired], json_wanted=json_wanted)


def _show(found: list[SigningKey], *, json_wanted: bool) -> None:
    if json_wanted:
        printing.data(
            [
                {
                    "kid": one.kid,
                    "destination": one.destination,
                    "algorithm": one.algorithm.value,
                    "stage": one.stage.value,
                    "since": one.since.isoformat(),
                    "published_at": one.published_at.isoformat(),
                    "public": one.public,
                }
                for one in found
            ]
        )
        return
    rows = [
        [one.destination, one.kid, one.algorithm, one.stage, f"{one.since:%Y-%m-%d %H:%M} UTC"]
        for one in found
    ]
    printing.table("Keys", ["destination", "kid", "algorithm", "state", "since"], rows)
