"""What tests of faults share."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.place import Place


class MakePlace(Protocol):
    def __call__(
        self, *, context: ssl.SSLContext | None = ..., ca_file: Path | None = ...
    ) -> Place: ...


@pytest.fixture
def make_place() -> Iterator[MakePlace]:
    """Make a bridge and its EHR; at the end nothing of a patient may have been told."""
    made: list[Place] = []
    with ExitStack() as stack:

        def make(*, context: ssl.SSLContext | None = None, ca_file: Path | None = None) -> Place:
            made.append(stack.enter_context(closing(Place(context=context, ca_file=ca_file))))
            return made[-1]

        yield make
        assert [one.leaks() for one in made] == [[] for _ in made]


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A bridge whose EHR has the clinic, and nothing yet of patient `pt-1`."""
    made = make_place()
    made.know_the_clinic()
    return made
