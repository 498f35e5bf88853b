"""I1, R42: one webhook id at two processes of one installation is one record."""

from collections import Counter
from pathlib import Path

import pytest

from tests.numbers import one_message

pytestmark = pytest.mark.slow


def test_i01_r42_fifty_of_one_id_at_two_processes_are_one_record(tmp_path: Path) -> None:
    found = one_message.at_two(tmp_path, 50)

    accepted, refused = sorted((found.first, found.other), key=lambda one: 409 in one)
    assert accepted.keys() == {202}
    assert refused.keys() == {409}
    assert found.first + found.other in (
        Counter({202: 34, 409: 16}),
        Counter({202: 16, 409: 34}),
    )
    assert (found.answers, found.stored) == (1, 1)
