from collections.abc import Iterator

import pytest

from tests.webhooks.receiving import Receiver, Telling


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.close()


@pytest.fixture
def telling(receiver: Receiver) -> Telling:
    made = Telling()
    made.add("clinic", receiver.url)
    return made


@pytest.fixture
def anywhere(either: str, receiver: Receiver) -> Iterator[Telling]:
    """The same on SQLite, and on PostgreSQL."""
    made = Telling(url=either)
    made.add("clinic", receiver.url)
    yield made
    made.store.close()
