"""Open the bridge for one command, and close it after."""

from collections.abc import Iterator
from contextlib import contextmanager

from fhirbridge import log, opening, settings, tracing
from fhirbridge.bridge import Bridge

ACTOR = "cli"


@contextmanager
def opened() -> Iterator[Bridge]:
    """Give the bridge that the settings name."""
    log.configure()
    chosen = settings.read()
    opening.begin_traces(chosen)
    bridge = opening.open_bridge(chosen)
    try:
        yield bridge
    finally:
        tracing.end()
        bridge.close()
