import pytest

# Contracts are not named test_*.py, so their asserts would say little without this.
for part in ("checks", "contract", "reading", "running", "writing"):
    pytest.register_assert_rewrite(f"tests.contracts.ehr_{part}")
