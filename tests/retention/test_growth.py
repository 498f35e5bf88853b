"""What one chart costs to purge does not grow with what is stored."""

from tests.factories import a_short_visit
from tests.outbox.test_growth import BY_DESTINATION, BY_THE_WHOLE, Asked
from tests.retention.archive import Archive


def test_a_chart_is_found_and_erased_by_indexes(archive: Archive) -> None:
    archive.take_old(a_short_visit())
    asked = Asked(archive)

    assert archive.purge().charts == 1

    plans = {plan: said for said, plans in asked.plans().items() for plan in plans}
    archive.store.close()
    found = [
        (plan, said[:300])
        for plan, said in plans.items()
        if BY_THE_WHOLE.search(plan) or BY_DESTINATION.search(plan)
    ]
    assert found == []
