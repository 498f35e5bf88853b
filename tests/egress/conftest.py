import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from fhirbridge.clock import SystemClock
from fhirbridge.egress.exchange import Resolver
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.egress.transport import HttpTransport
from tests.egress.fake_server import FakeServer, Step

LOOPBACK = NetworkPolicy(allow_loopback=True)


class MakeTransport(Protocol):
    def __call__(
        self,
        *,
        allowed: NetworkPolicy = ...,
        resolver: Resolver = ...,
        ca_file: Path | None = ...,
    ) -> HttpTransport: ...


Serve = Callable[..., FakeServer]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(stack: ExitStack) -> Serve:
    """Start a scripted server that ends with the test."""

    def start(*steps: Step, context: ssl.SSLContext | None = None) -> FakeServer:
        return stack.enter_context(FakeServer(*steps, context=context))

    return start


@pytest.fixture
def make_transport(stack: ExitStack) -> MakeTransport:
    """Make a transport with a small cap; without words, it may reach this machine."""

    def make(
        *,
        allowed: NetworkPolicy = LOOPBACK,
        resolver: Resolver | None = None,
        ca_file: Path | None = None,
    ) -> HttpTransport:
        made = HttpTransport(
            allowed=allowed,
            clock=SystemClock(),
            resolver=resolver or SystemResolver(),
            ca_file=ca_file,
            max_bytes=100_000,
        )
        stack.callback(made.close)
        return made

    return make


@pytest.fixture
def transport(make_transport: MakeTransport) -> HttpTransport:
    return make_transport()
