"""The documentation says what is there: every command, every setting, every file it points to."""

import re
from pathlib import Path

import pytest

from fhirbridge.cli import COMMANDS, settings_page
from fhirbridge.settings import Settings

ROOT = Path(__file__).parents[1]
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
OPERATE = (ROOT / "docs" / "operate.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_operating_page(command: str) -> None:
    assert re.search(rf"^\| `{command}[ `]", OPERATE, re.MULTILINE)


@pytest.mark.parametrize("field", Settings.__dataclass_fields__)
def test_every_setting_is_in_the_page_of_settings_once(field: str) -> None:
    assert SETTINGS.count(f"| FHIRBRIDGE_{field.upper()} |") == 1


def test_no_setting_is_documented_that_is_not_there() -> None:
    known = {f"FHIRBRIDGE_{field.upper()}" for field in Settings.__dataclass_fields__}

    assert set(re.findall(r"FHIRBRIDGE_[A-Z_]+", SETTINGS)) == known
    assert set(re.findall(r"FHIRBRIDGE_[A-Z_]+", OPERATE)) <= known


def test_the_page_of_settings_is_what_the_program_says_whatever_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FHIRBRIDGE_TENANT", "another")
    monkeypatch.setenv("FHIRBRIDGE_HOME", "/srv/bridge")

    assert settings_page.page() == SETTINGS  # else: make docs


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_command_in_the_readme_exists() -> None:
    blocks = "".join(README.split("```")[1::2])
    named = set(re.findall(r"^fhirbridge (\w+)", blocks, re.MULTILINE))

    assert named
    assert named <= set(COMMANDS)


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", README)) - {"lists"} <= targets


REQUIREMENTS = (ROOT / "docs" / "requirements.md").read_text()
LINES = {
    *(
        f"R{number}"
        for number in (*range(1, 26), 27, *range(29, 36), *range(39, 44), 55, 56, 65, 67, 68, 70)
    ),
    *(f"P{number}" for number in (1, 3, 4, 5, 6, 7, 9, 11, 12, 15, 16, 17, 18, 19, 20)),
    *(f"S{number}" for number in (2, 3, 4, 5, 8, 12, 13)),
}


def test_every_test_that_shows_a_requirement_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", REQUIREMENTS)
    there = {file: (ROOT / "tests" / file).read_text() for file in {file for file, _ in named}}

    assert named
    assert [one for one in named if not re.search(rf"\bdef {one[1]}\(", there[one[0]])] == []


def test_every_requirement_has_its_line_once() -> None:
    numbers = re.findall(r"^\| ([RPS]\d+) \|", REQUIREMENTS, re.MULTILINE)

    assert len(numbers) == len(set(numbers))
    assert set(numbers) >= LINES


def test_every_requirement_says_what_shows_it() -> None:
    rows = re.findall(r"^\| ([RPS]\d+) \|(.*)$", REQUIREMENTS, re.MULTILINE)
    silent = {number for number, text in rows if "::test_" not in text and "| as " not in text}

    assert silent <= {"R22", "R23"}  # their lines name no test yet
