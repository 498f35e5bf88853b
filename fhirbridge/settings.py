"""Every setting, typed, read once from the environment; all mistakes are reported together."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environs import Env, EnvError, ValidationError, validate

from fhirbridge.egress.exchange import Request, UnsendableRequestError
from fhirbridge.egress.way import BadProxyError, proxy_of
from fhirbridge.errors import BridgeError

PACKAGED_MAPPINGS = Path(__file__).parent / "mappings"
SOURCE_MAPPINGS = Path(__file__).parents[1] / "mappings"
LEAST_FREE_MB = 1000
REQUESTS_PER_SECOND = 50
LAST_PORT = 65_535
PREFIX = "FHIRBRIDGE_"


class SettingsError(BridgeError):
    """The environment holds settings that cannot be used; the text names all of them."""

    code = "E801"
    exit_status = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an administrator may choose. Each field is FHIRBRIDGE_ and its name in capitals."""

    home: Path  # where the database, the keys and the first token lie
    database_url: str
    master_key_file: Path
    site_key_file: Path
    evidence_key_file: Path
    mappings: Path
    site: str  # host name in the identifiers that we give out
    tenant: str
    bind: str
    ca_file: Path | None
    quarantine_days: int
    quarantine_most: int
    most_bytes: int  # of one request body
    watch_seconds: int  # between two looks at each EHR; 0: none
    retention_days: int = 2192  # for which a chart is kept after its last change: six years
    pull_seconds: int = 3600  # between two times that an EHR is asked about a patient; 0: never
    pull_days: int = 30  # how long after the last record of a patient
    alert_command: tuple[str, ...] = ()  # gets each alert on its input
    least_free_mb: int = LEAST_FREE_MB  # where the database lies; with less a person is told
    requests_per_second: int = REQUESTS_PER_SECOND  # of one token or sender, for long; 0: any
    proxy: str = ""  # for every destination that is not on this machine
    traces: str = ""  # where a collector takes spans by OTLP over HTTP; "": there are none


# What each is, for `fhirbridge settings` and docs/settings.md, which is made of this.
WORDS = {
    "home": "folder for database and keys, made by `fhirbridge init`",
    "database_url": "or [`postgresql://USER@HOST/NAME`](operate.md#postgresql), without a password",
    "master_key_file": "opens the sealed payloads; mode 0600",
    "site_key_file": "makes the ids in the EHR; mode 0600",
    "evidence_key_file": "signs the [evidence](evidence.md#the-key); mode 0600",
    "mappings": "folder of mapping files: a draft, made live by `init` and `map reload`",
    "site": "host name in the identifiers we give out; choose it once, before the first delivery",
    "tenant": "separates ids where one site key serves several clinics",
    "bind": "where `serve` listens; put a TLS proxy before it for anyone else",
    "ca_file": "PEM file of your own certificate authority, instead of the public ones",
    "proxy": "`http://HOST:PORT`: the proxy to every destination that is not on this machine and "
    "names none itself",
    "quarantine_days": "how long refused records are kept, sealed; 1 to 3650",
    "quarantine_most": "how many of them are kept at most; 1 to 1000000",
    "retention_days": "how long a chart is kept after its last change, before "
    "[`retention apply`](operate.md#how-long-charts-are-kept) erases it; 365 to 36500",
    "most_bytes": "largest request body; 1000 to 100000000",
    "requests_per_second": "how often one token or one sender of signed messages may ask, for "
    "long; ten seconds of it at once; more is [429](operate.md#how-often-one-caller-may-ask); "
    "0 to 10000; 0: as often as it likes",
    "least_free_mb": "with less free [where the database lies](operate.md#a-disk-that-fills-up) "
    "there is an alert; with less than a tenth of it nothing is taken in; 0: neither",
    "alert_command": "a command that gets each [alert](operate.md#alerts) as a line of JSON on its "
    "input",
    "watch_seconds": "how often `serve` looks what changed in each EHR; 0: only when `reconcile` "
    "is run; at most 86400",
    "pull_seconds": "how often `serve` asks the EHRs "
    "[what they know](operate.md#what-an-ehr-knows) of each patient; 0: only when `patient pull` "
    "is run; at most 604800",
    "pull_days": "how long after a patient's last record; 1 to 3650",
    "traces": "address of a collector that takes OTLP over HTTP, such as "
    "`http://127.0.0.1:4318/v1/traces`: [traces](operate.md#traces), which carry no PHI",
}


def name_of(field: str) -> str:
    """Return the variable of one setting."""
    return f"{PREFIX}{field.upper()}"


def read() -> Settings:
    """Read the settings from the environment. Raises SettingsError that names every mistake."""
    env = Env(eager=False, prefix=PREFIX)
    home = env.path("HOME", Path("fhirbridge-data"))
    values: dict[str, Any] = {
        "database_url": env.str("DATABASE_URL", f"sqlite:///{home / 'fhirbridge.db'}"),
        "master_key_file": env.path("MASTER_KEY_FILE", home / "master.key"),
        "site_key_file": env.path("SITE_KEY_FILE", home / "site.key"),
        "evidence_key_file": env.path("EVIDENCE_KEY_FILE", home / "evidence.key"),
        "mappings": env.path("MAPPINGS", packaged_mappings()),
        "site": env.str("SITE", "fhirbridge.invalid", validate=_matches(r"[a-z0-9.-]{1,253}")),
        "tenant": env.str("TENANT", "main", validate=_matches(r"[a-z0-9-]{1,40}")),
        "bind": env.str("BIND", "127.0.0.1:8350", validate=_address),
        "ca_file": env.path("CA_FILE", None),
        "quarantine_days": env.int("QUARANTINE_DAYS", 30, validate=validate.Range(1, 3650)),
        "quarantine_most": env.int("QUARANTINE_MOST", 1000, validate=validate.Range(1, 10**6)),
        "retention_days": env.int("RETENTION_DAYS", 2192, validate=validate.Range(365, 36_500)),
        "most_bytes": env.int("MOST_BYTES", 2_000_000, validate=validate.Range(1000, 10**8)),
        "least_free_mb": env.int("LEAST_FREE_MB", LEAST_FREE_MB, validate=validate.Range(0, 10**7)),
        "requests_per_second": env.int(
            "REQUESTS_PER_SECOND", REQUESTS_PER_SECOND, validate=validate.Range(0, 10_000)
        ),
        "alert_command": env.str("ALERT_COMMAND", "", validate=_command),
        "proxy": env.str("PROXY", "", validate=_proxy),
        "traces": env.str("TRACES", "", validate=_base),
        "watch_seconds": env.int("WATCH_SECONDS", 60, validate=validate.Range(0, 86_400)),
        "pull_seconds": env.int("PULL_SECONDS", 3600, validate=validate.Range(0, 604_800)),
        "pull_days": env.int("PULL_DAYS", 30, validate=validate.Range(1, 3650)),
    }
    wrong = dict.fromkeys(_unknown(), "there is no such setting")
    try:
        env.seal()
    except EnvError as error:
        messages = getattr(error, "error_messages", {"settings": [str(error)]})
        wrong |= {name: ", ".join(map(str, why)) for name, why in messages.items()}
    if wrong:
        listed = "; ".join(f"{name}: {why}" for name, why in sorted(wrong.items()))
        raise SettingsError(
            f"settings that cannot be used: {listed}",
            hint="docs/settings.md lists them",
        )
    values["alert_command"] = tuple(shlex.split(values["alert_command"]))
    return Settings(home=home, **values)


def defaults() -> Settings:
    """Return what holds where nothing is set."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(PREFIX)}
    try:
        return read()
    finally:
        os.environ.update(kept)


def secret_from_environment(name: str) -> str | None:
    """Return a variable that was named on the command line; its name says nothing of its text."""
    return os.environ.get(name)


def foreign_environment() -> dict[str, str]:
    """Return the environment without our settings: what runs in it touches no real installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FHIRBRIDGE_")}


def _matches(pattern: str) -> validate.Regexp:
    # \Z, since $ also stands before a line feed: a site name with one would change every id.
    return validate.Regexp(rf"(?:{pattern})\Z", error="has a form that cannot be used")


def _command(value: str) -> None:
    """Refuse what is no list of words."""
    try:
        shlex.split(value)
    except ValueError:
        raise ValidationError("has a quotation mark too many or too few") from None


def _proxy(value: str) -> None:
    """Refuse what is not http://HOST:PORT."""
    if value:
        try:
            proxy_of(value)
        except BadProxyError as error:
            raise ValidationError(error.message) from None


def _base(value: str) -> None:
    """Refuse what is not http(s)://HOST[:PORT]/PATH."""
    if value:
        try:
            Request(method="POST", url=value, headers={})
        except UnsendableRequestError as error:
            raise ValidationError(error.message) from None


def _address(value: str) -> None:
    """Refuse what is not HOST:PORT."""
    _matches(r"[^\s/]+:[0-9]{1,5}")(value)
    if int(value.rpartition(":")[2]) > LAST_PORT:
        raise ValidationError(f"has a port above {LAST_PORT}")


def packaged_mappings() -> Path:
    """Return the mappings that come with the program: in the package, or beside it."""
    return PACKAGED_MAPPINGS if PACKAGED_MAPPINGS.is_dir() else SOURCE_MAPPINGS


def _unknown() -> list[str]:
    """Name what looks like a setting of ours and is none: a typo must not mean the default."""
    known = {name_of(field) for field in Settings.__dataclass_fields__}
    ours = (name for name in os.environ if name.startswith("FHIRBRIDGE_"))
    return sorted(
        name for name in ours if name not in known and not name.startswith("FHIRBRIDGE_TEST_")
    )
