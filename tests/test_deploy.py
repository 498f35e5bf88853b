"""What systemd is given fits the program: commands, options and settings that there are."""

import configparser
import re
import shlex
from pathlib import Path

import click
import pytest

from fhirbridge.cli import fhirbridge
from fhirbridge.settings import Settings
from tests.source_rules import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])
PROGRAM = "/opt/fhirbridge/bin/fhirbridge "


def section(unit: Path, name: str) -> configparser.SectionProxy:
    read = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",))
    read.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    read.read_string(unit.read_text())
    return read[name]


def command(unit: Path) -> list[str]:
    """Return the words that follow the program's name."""
    line = section(unit, "Service")["ExecStart"]
    assert PROGRAM in line, unit.name
    return shlex.split(line.partition(PROGRAM)[2].rstrip("'"))


@pytest.mark.parametrize("unit", sorted(DEPLOY.glob("*.service")), ids=lambda unit: unit.name)
def test_a_unit_calls_a_command_that_there_is(unit: Path) -> None:
    words = command(unit)
    found: click.Command = fhirbridge

    while isinstance(found, click.Group):
        known = found.get_command(click.Context(found), words.pop(0))
        assert known is not None, unit.name
        found = known

    options = {option for one in found.params for option in one.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("unit", sorted(DEPLOY.glob("*.service")), ids=lambda unit: unit.name)
def test_s13_a_unit_runs_as_a_user_of_its_own_and_dumps_no_chart(unit: Path) -> None:
    service = section(unit, "Service")

    assert service["User"] == "fhirbridge"
    assert service["UMask"] == "0077"
    assert service["LimitCORE"] == "0"
    assert service["NoNewPrivileges"] == "yes"


def test_the_example_has_settings_that_there_are() -> None:
    text = (DEPLOY / "settings.env").read_text()
    named = re.findall(r"^#?FHIRBRIDGE_([A-Z_]+)=", text, re.MULTILINE)

    assert named
    assert {name.lower() for name in named} <= Settings.__dataclass_fields__.keys()


def test_each_file_is_named_where_it_tells_how_to_use_it() -> None:
    operate = (ROOT / "docs" / "operate.md").read_text()

    assert [one.name for one in DEPLOY.iterdir() if one.name not in operate] == []
    assert len(UNITS) == 3
