from pathlib import Path

import pytest

from fhirbridge.translate.expressions.narrowing import Fact, facts_of
from fhirbridge.translate.expressions.parser import parse
from tests.translate.small_set import changed, faults

WEIGHT = "resources/weight.yaml"


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("a.b = 'x'", {"a.b": Fact(only=frozenset({"x"}))}),
        ("a.b != 'x'", {"a.b": Fact(never=frozenset({"x"}))}),
        ("a.b in ('x' | 'y')", {"a.b": Fact(only=frozenset({"x", "y"}))}),
        ("a != 'x' and a != 'y'", {"a": Fact(never=frozenset({"x", "y"}))}),
        ("a in ('x' | 'y') and a in ('y' | 'z')", {"a": Fact(only=frozenset({"y"}))}),
        ("not(a = 'x')", {"a": Fact(never=frozenset({"x"}))}),
        ("(a = 'x' or a = 'y').not()", {"a": Fact(never=frozenset({"x", "y"}))}),
        ("a = 'x' or b = 'y'", {}),
        ("a = b", {}),
        ("a.first() = 'x'", {}),
        ("a in (b | 'x')", {}),
        ("a.exists()", {}),
    ],
)
def test_a_condition_says_what_a_field_can_be(text: str, facts: dict[str, Fact]) -> None:
    assert facts_of(parse(text)) == facts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("when: r.weight.exists()", "when: r.weight.exists() and r.state != 'planned'"),
        ("when: r.weight.exists()", "when: r.state in ('final' | 'amended')"),
        ("  status: = r.state", "  status: = iif(r.state != 'planned', r.state, 'unknown')"),
        ("  status: = r.state", "  status: = iif(r.state = 'planned', 'unknown', r.state)"),
        (
            "  status: = r.state",
            """\
  status:
    $switch:
      - {$when: r.state = 'planned', $then: unknown}
      - {$else: = r.state}""",
        ),
    ],
)
def test_a_code_is_taken_where_a_condition_rules_out_what_fhir_does_not_know(
    tmp_path: Path, old: str, new: str
) -> None:
    files = changed(WEIGHT, "  status: final", "  status: = r.state")
    assert len(faults(tmp_path / "before", files)) == 1

    files[WEIGHT] = files[WEIGHT].replace(old, new)

    assert faults(tmp_path, files) == []


def test_a_condition_says_nothing_of_another_row(tmp_path: Path) -> None:
    files = changed(WEIGHT, "  status: final", "  status: = rows.where(id = r.id).first().state")
    files[WEIGHT] = files[WEIGHT].replace("r.weight.exists()", "r.state != 'planned'")

    assert [fault.split()[0] for fault in faults(tmp_path, files)] == ["E214"]
