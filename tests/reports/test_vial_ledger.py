"""R68: whatever is done with vials, the books say what is in each."""

import pytest

from tests.reports import vials


@pytest.mark.parametrize("seed", range(3))
def test_r68_after_random_operations_the_books_say_what_is_in_each_vial(seed: int) -> None:
    cabinet, _ = vials.prove(seed, 100)

    assert cabinet.witnessed_alone
    assert len(cabinet.left) == 9
