from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.signin.far_side import SmartEhr
from tests.signin.ground import SMART, Ground

MakeGround = Callable[[], Ground]


@pytest.fixture
def ehr() -> Iterator[SmartEhr]:
    with closing(SmartEhr()) as made:
        yield made


@pytest.fixture
def make_ground(ehr: SmartEhr, tmp_path: Path) -> Iterator[MakeGround]:
    """Open the one database once more, as another process does."""
    with ExitStack() as stack:

        def make() -> Ground:
            return stack.enter_context(closing(Ground(tmp_path / "sign-in.db", ehr.base_url)))

        yield make


@pytest.fixture
def ground(make_ground: MakeGround) -> Ground:
    """An installation that signs in by SMART Backend Services, with one key."""
    made = make_ground()
    made.new_key()
    made.set(SMART)
    return made
