"""`fhirbridge destination add-facade`: what others pull from us, instead of being sent it."""

import click

from fhirbridge.cli import destination_types, printing
from fhirbridge.cli.opened import ACTOR, opened
from fhirbridge.cli.printing import as_json
from fhirbridge.profiles import profile_file as profiles
from fhirbridge.profiles.profile_file import NO_PROFILE


@click.command("add-facade")
@click.argument("name")
@click.argument("url")
@click.option(
    "--requires-consent", is_flag=True, help="Show only what the patient agreed to share."
)
@click.option("--overlay", default="", help="Change the mappings for it by this overlay of theirs.")
@destination_types.PROFILE
@as_json
def add_facade(
    name: str,
    url: str,
    *,
    requires_consent: bool,
    overlay: str,
    profile: str | None,
    json_wanted: bool,
) -> None:
    """Add NAME, which is read from: readers reach this service at URL, such as https://HOST/fhir.

    Nothing is sent anywhere. Whoever has a token for it (fhirbridge token make WHO --role reader
    --facade NAME) reads what is owed to it.
    """
    meant = profiles.load(profile) if profile else NO_PROFILE
    with opened() as bridge:
        added = bridge.add_facade(
            name=name,
            base_url=url,
            requires_consent=requires_consent or meant.requires_consent,
            overlay=overlay,
            profile=meant,
            actor=ACTOR,
        )
    if json_wanted:
        printing.data({"name": added.name, "base_url": added.base_url, "mode": added.mode.value})
        return
    printing.words(
        f"{name} shows what is owed to it from now on. A token to read it: "
        f"fhirbridge token make READER --role reader --facade {name}"
    )
