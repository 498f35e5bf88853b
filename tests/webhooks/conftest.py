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
