"""Open the bridge for one command, and close it after."""

from collections.abc import Iterator
from contextlib import contextmanager

from fhirbridge import log, opening, settings
from fhirbridge.bridge import Bridge

ACTOR = "cli"


@contextmanager
def opened() -> Iterator[Bridge]:
    """Give the bridge that the settings name."""
    log.configure()
    bridge = opening.open_bridge(settings.read())
    try:
        yield bridge
    finally:
        bridge.close()
