"""The switch that rewrites the golden files; review reads the difference."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite mappings/tests from what the mappings make now",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    # Without the option where the whole suite runs: then this conftest is read too late to add it.
    return bool(request.config.getoption("--update-golden", default=False))
