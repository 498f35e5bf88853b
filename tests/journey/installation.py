"""One installation of fhirbridge in a folder of its own, as `fhirbridge init` makes it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fhirbridge import opening, settings
from fhirbridge.bridge import Bridge
from fhirbridge.settings import Settings

SAMPLES = Path(__file__).parents[2] / "fhirbridge" / "samples"
SERIES = sorted(SAMPLES.glob("0[1-6]-iv-series-*.json"))
AMENDED = SAMPLES / "07-iv-series-visit-3.v2.json"


class ShiftedClock:
    """The machine's time, moved ahead: what a lease looks like to whoever comes later."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead  # noqa: TID251

    def monotonic(self) -> float:
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Installation:
    settings: Settings
    clock: ShiftedClock

    def copy(self, home: Path, *, tenant: str) -> "Installation":
        """Return the same installation in another folder, with ids of its own."""
        shutil.copytree(self.settings.home, home)
        moved = replace(
            self.settings,
            home=home,
            database_url=f"sqlite:///{home / 'fhirbridge.db'}",
            master_key_file=home / "master.key",
            site_key_file=home / "site.key",
            evidence_key_file=home / "evidence.key",
            tenant=tenant,
        )
        return Installation(settings=moved, clock=ShiftedClock())

    @contextmanager
    def bridge(self) -> Iterator[Bridge]:
        opened = opening.open_bridge(self.settings, clock=self.clock)
        try:
            yield opened
        finally:
            opened.close()


def install(home: Path, *, mappings: Path | None = None, database_url: str = "") -> Installation:
    """Make keys and database below `home`; with the packaged mappings, or others."""
    chosen = Settings(
        home=home,
        database_url=database_url or f"sqlite:///{home / 'fhirbridge.db'}",
        master_key_file=home / "master.key",
        site_key_file=home / "site.key",
        evidence_key_file=home / "evidence.key",
        mappings=mappings or settings.packaged_mappings(),
        site="clinic.invalid",
        tenant="main",
        bind="127.0.0.1:0",
        ca_file=None,
        quarantine_days=30,
        quarantine_most=100,
        most_bytes=2_000_000,
        watch_seconds=60,
    )
    opening.initialise(chosen)
    return Installation(settings=chosen, clock=ShiftedClock())


def connect(bridge: Bridge, base_url: str) -> None:
    """Add the server as the destination `ehr`, a test server."""
    added = bridge.add_destination(
        name="ehr",
        base_url=base_url,
        requires_consent=False,
        test_server=True,
        networks=(),
        actor="test",
    )
    assert added.paused == "", added.paused
