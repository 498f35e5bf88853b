"""The options that say how to sign in to an EHR. No secret is ever a word of a command line."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from fhirbridge import settings
from fhirbridge.errors import BridgeError
from fhirbridge.signin.methods import Change, Method

STDIN = "-"
OTHERS = 0o077
MOST_BYTES = 100_000

_FILE = click.Path(path_type=Path, allow_dash=True, dir_okay=False)


class SecretSourceError(BridgeError):
    """A secret cannot be read from where it is said to be."""

    code = "E424"


def sign_in_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; it gets them together as `how`, for `change`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--sign-in",
        "method",
        type=click.Choice([one.value for one in Method]),
        help="smart: SMART Backend Services; bearer: a token; basic: name and password.",
    ),
    click.option(
        "--no-sign-in", is_flag=True, help="This server asks nobody who he is: send all the same."
    ),
    click.option("--client", help="Our client id (smart), or our user name (basic)."),
    click.option("--scope", "scopes", help="What to ask for (smart), such as 'system/*.write'."),
    click.option("--token-url", help="Where tokens are given, if the EHR names another host."),
    click.option("--secret-file", type=_FILE, help="Holds the token or password; - for stdin."),
    click.option("--secret-env", help="Name of the environment variable that holds it."),
    click.option("--certificate", type=_FILE, help="Our certificate (PEM), for mutual TLS."),
    click.option("--key", "key_file", type=_FILE, help="Its private key (PEM)."),
    click.option("--ca-file", type=_FILE, help="The EHR's own authorities (PEM)."),
    click.option("--proxy", help="http://HOST:PORT; 'direct' for none."),
)


def change(how: dict[str, Any]) -> Change:
    """Read what the options name. Raises SecretSourceError or click.UsageError."""
    if how["secret_file"] and how["secret_env"]:
        raise click.UsageError("give --secret-file or --secret-env, not both")
    if how["no_sign_in"] and how["method"] not in (None, Method.NONE):
        raise click.UsageError("give --sign-in or --no-sign-in, not both")
    method = Method.NONE if how["no_sign_in"] else how["method"]
    return Change(
        method=None if method is None else Method(method),
        open_allowed=True if how["no_sign_in"] else None,
        client=how["client"],
        scopes=how["scopes"],
        token_url=how["token_url"],
        proxy=how["proxy"],
        authorities=_text(how["ca_file"], "--ca-file", secret=False),
        certificate=_text(how["certificate"], "--certificate", secret=False),
        secret=_secret(how["secret_file"], how["secret_env"]),
        key=_text(how["key_file"], "--key", secret=True),
    )


def read_secret(path: Path, option: str) -> str:
    """Read a file that nobody else may read. Raises SecretSourceError."""
    if str(path) == STDIN:
        return sys.stdin.read(MOST_BYTES)
    found = _read(path, option)
    if path.stat().st_mode & OTHERS:
        raise SecretSourceError(
            f"the file of {option} is open to other users", hint=f"chmod 600 {path.name}"
        )
    return found


def _secret(path: Path | None, variable: str | None) -> str | None:
    if path is not None:
        return read_secret(path, "--secret-file").strip()
    if variable is None:
        return None
    found = settings.secret_from_environment(variable)
    if not found:
        raise SecretSourceError(
            "the variable that --secret-env names is not set", hint="give its name, not its text"
        )
    return found.strip()


def _text(path: Path | None, option: str, *, secret: bool) -> str | None:
    if path is None:
        return None
    return read_secret(path, option) if secret else _read(path, option)


def _read(path: Path, option: str) -> str:
    try:
        with path.open(encoding="ascii") as file:
            return file.read(MOST_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        kind = "is not plain text" if isinstance(error, UnicodeDecodeError) else "cannot be read"
        raise SecretSourceError(f"the file of {option} {kind}") from None
