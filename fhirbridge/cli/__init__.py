"""The door for IT staff: each command is a verb that asks the bridge for one thing.

Commands are imported when they are called, so that `fhirbridge --version` starts at once.
"""

import sys
from importlib import import_module

import click

from fhirbridge import __version__
from fhirbridge.errors import BridgeError

WRONG_USE = 64
COMMANDS = {
    "init": ("fhirbridge.cli.setup:init", "Make keys, database and the first token."),
    "db": ("fhirbridge.cli.database:database", "Back up, restore, upgrade or move the database."),
    "destination": (
        "fhirbridge.cli.destination:destination",
        "Add, list, probe, test and limit EHR servers.",
    ),
    "token": ("fhirbridge.cli.tokens:token", "Make, list and revoke API tokens."),
    "webhook-source": (
        "fhirbridge.cli.webhook_source:webhook_source",
        "Add, list, rotate and revoke who sends signed messages.",
    ),
    "webhook-endpoint": (
        "fhirbridge.cli.webhook_endpoint:webhook_endpoint",
        "Say who is told by signed webhooks what happened.",
    ),
    "translate": ("fhirbridge.cli.records:translate", "Show what a record becomes; store nothing."),
    "ingest": (
        "fhirbridge.cli.records:ingest",
        "Take in session and stock records from files or a folder.",
    ),
    "record": ("fhirbridge.cli.records:record", "Check, import, invent and show session records."),
    "stock": ("fhirbridge.cli.stock:stock", "List and show stock documents."),
    "sync": ("fhirbridge.cli.sync:sync", "Plan, do, watch and mend deliveries."),
    "reconcile": ("fhirbridge.cli.reconcile:reconcile", "Compare what an EHR holds with ours."),
    "patient": (
        "fhirbridge.cli.patient:patient",
        "Say which of an EHR's patients one of ours is.",
    ),
    "theirs": (
        "fhirbridge.cli.theirs:theirs",
        "Say what else of an EHR's own ours point to.",
    ),
    "drift": ("fhirbridge.cli.reconcile:drift", "List, show and settle what differs in an EHR."),
    "incident": (
        "fhirbridge.cli.incident:incident",
        "List, take back and pack what went out of a patient's chart.",
    ),
    "retention": (
        "fhirbridge.cli.retention:retention",
        "Purge what was kept for its time; legal holds.",
    ),
    "report": ("fhirbridge.cli.report:report", "Make the reports that a clinic owes."),
    "export": (
        "fhirbridge.cli.export:export",
        "Write what an EHR holds of ours into a signed package.",
    ),
    "audit": ("fhirbridge.cli.audit:audit", "Sign, hand out and check the evidence log."),
    "verify": ("fhirbridge.cli.audit:verify", "Check a package of evidence, offline."),
    "settings": (
        "fhirbridge.cli.settings_page:show",
        "Show every setting and what is in force.",
    ),
    "doctor": ("fhirbridge.cli.doctor:doctor", "Look for all that could stop deliveries."),
    "map": ("fhirbridge.cli.mapping:map_group", "Check, try and explain the mapping files."),
    "serve": ("fhirbridge.cli.serving:serve", "Run the web service and deliver in the background."),
    "worker": ("fhirbridge.cli.serving:worker", "Deliver in the background, without the API."),
    "sandbox": ("fhirbridge.cli.serving:sandbox", "Run a sandbox EHR to try things on."),
    "demo": ("fhirbridge.cli.demo:demo", "Show the whole journey with synthetic patients."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fhirbridge")
def fhirbridge() -> None:
    """Bring ketamine-clinic session records to an EHR's FHIR server: once, in order, with proof.

    Settings are environment variables; fhirbridge settings lists them. Start with: fhirbridge init
    """


def main() -> None:
    """Run one command. Exit status: 0 done, 1 error, 2 to do, 3 not all delivered, 64 wrong use."""
    try:
        sys.exit(fhirbridge.main(standalone_mode=False) or 0)
    except click.UsageError as error:
        error.show()
        sys.exit(WRONG_USE)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except BridgeError as error:
        click.echo(f"{error.code} {error.message}", err=True)
        if error.hint:
            click.echo(f"     {error.hint}", err=True)
        sys.exit(error.exit_status)
