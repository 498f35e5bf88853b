"""The shape of the program, checked: what the layout says is what the code does."""

import ast
import configparser
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import grimp
import pytest

from tests.source_rules import ROOT, Rule, breaches, is_within, module_name, uses

PROGRAM = ROOT / "fhirbridge"
MODULES = sorted(PROGRAM.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST_FILE = 400
DOORS = {"cli", "web"}
NAMES_THAT_SAY_NOTHING = {"utils", "helpers", "common", "base", "manager", "misc"}
# Root of the name in imports: the extra that has it, the one module that may import it.
OF_AN_EXTRA = {"opentelemetry": ("traces", "fhirbridge.egress.traces")}
NEEDED_BUT_NOT_IMPORTED = {
    "tzdata": "time zones for zoneinfo, where the machine has none",
    "uharfbuzz": "fpdf2 shapes by it the letters that join or stack",
}

# The client stands for another system, which has none of ours: it may be copied there.
ONE_PLACE_EACH = (
    Rule(
        why="only clock reads the time or waits",
        names=frozenset(
            {
                "datetime.date.today",
                "datetime.datetime.now",
                "datetime.datetime.today",
                "datetime.datetime.utcnow",
                "time",
            }
        ),
        allowed=frozenset({"fhirbridge.client", "fhirbridge.clock"}),
    ),
    Rule(
        why="only rng makes chance",
        names=frozenset({"os.urandom", "random", "secrets", "uuid.uuid1", "uuid.uuid4"}),
        allowed=frozenset({"fhirbridge.client", "fhirbridge.rng"}),
    ),
    Rule(
        why="only settings reads the environment",
        names=frozenset({"environs", "os.environ", "os.environb", "os.getenv"}),
        allowed=frozenset({"fhirbridge.settings"}),
    ),
    Rule(
        why="only codec reads and writes JSON, since decimals keep their digits there",
        names=frozenset(
            {
                "flask.json",
                "flask.jsonify",
                "json.dump",
                "json.dumps",
                "json.load",
                "json.loads",
                "msgspec.json",
            }
        ),
        allowed=frozenset({"fhirbridge.client", "fhirbridge.fhir.codec"}),
    ),
    Rule(
        why="only store knows a database driver; the sandbox is another system with its own",
        names=frozenset({"sqlite3"}),
        allowed=frozenset({"fhirbridge.sandbox.storage", "fhirbridge.store"}),
    ),
    Rule(
        why="only what writes a note on paper loads a library of PDFs or fonts",
        names=frozenset({"fontTools", "fpdf"}),
        allowed=frozenset(
            {
                "fhirbridge.translate.documents.letters",
                "fhirbridge.translate.documents.paper",
                "fhirbridge.translate.documents.sheets",
            }
        ),
    ),
    Rule(
        why="only rooms that keep or show rows speak to the database",
        names=frozenset({"sqlalchemy"}),
        allowed=frozenset(
            {
                "fhirbridge.access",
                "fhirbridge.alerts",
                "fhirbridge.audit",
                "fhirbridge.consent",
                "fhirbridge.deliver",
                "fhirbridge.destinations",
                "fhirbridge.events",
                "fhirbridge.exports.begun",
                "fhirbridge.exports.holdings",
                "fhirbridge.exports.proofs",
                "fhirbridge.facade.desk",
                "fhirbridge.facade.held",
                "fhirbridge.facade.shelf",
                "fhirbridge.intake",
                "fhirbridge.matching.guard",
                "fhirbridge.matching.kept",
                "fhirbridge.matching.links",
                "fhirbridge.matching.theirs.crosswalk",
                "fhirbridge.matching.theirs.kept",
                "fhirbridge.matching.theirs.links",
                "fhirbridge.matching.theirs.wanted",
                "fhirbridge.outbox",
                "fhirbridge.overview",
                "fhirbridge.plan",
                "fhirbridge.pull",
                "fhirbridge.reconcile",
                "fhirbridge.records.history",
                "fhirbridge.signin",
                "fhirbridge.reports",
                "fhirbridge.retention",
                "fhirbridge.store",
                "fhirbridge.subscriptions.book",
                "fhirbridge.subscriptions.desk",
                "fhirbridge.webhooks.desk",
                "fhirbridge.webhooks.endpoints",
                "fhirbridge.webhooks.owed",
                "fhirbridge.webhooks.sender",
            }
        ),
    ),
)

HONEST_TESTS = (
    Rule(why="write a fake that obeys the port's contract", names=frozenset({"unittest.mock"})),
    Rule(why="a test owns its clock", names=frozenset({"time.sleep"})),
    Rule(
        why="a test that does not run proves nothing",
        names=frozenset(
            {"pytest.importorskip", "pytest.mark.skip", "pytest.mark.skipif", "pytest.mark.xfail"}
            | {"pytest.skip", "pytest.xfail"}
        ),
    ),
)


def configuration() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_imports_point_upstream() -> None:
    tool = Path(sys.executable).with_name("lint-imports")

    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, check=False, capture_output=True)

    assert done.returncode == 0, done.stdout.decode()


def test_every_import_is_a_declared_dependency_and_back() -> None:
    graph = grimp.build_graph("fhirbridge", include_external_packages=True, cache_dir=None)
    roots = {m.split(".")[0] for m in graph.modules} - {"fhirbridge"} - sys.stdlib_module_names
    owners = metadata.packages_distributions()
    known = configuration()
    lines = known["options"]["install_requires"].split()
    for extra in ("postgres", "worker"):  # imported where they are wanted, and only there
        lines += known["options.extras_require"][extra].split()
    declared = {canonical(name[0]) for line in lines if (name := re.match(r"[\w.-]+", line))}

    imported = {canonical(owners[root][0]) for root in roots - OF_AN_EXTRA.keys()}

    assert imported == declared - NEEDED_BUT_NOT_IMPORTED.keys()


@pytest.mark.parametrize("root", OF_AN_EXTRA)
def test_what_an_extra_brings_is_imported_in_one_module_that_is_opened_only_for_it(
    root: str,
) -> None:
    extra, only = OF_AN_EXTRA[root]
    lines = configuration()["options.extras_require"][extra].split()
    users = {
        module_name(path)
        for path in MODULES
        if any(use.name.split(".")[0] == root for use in uses(path.read_text()))
    }

    assert users == {only}
    assert all(line.startswith(root) for line in lines)


def test_the_build_names_every_room() -> None:
    rooms = {module_name(path) for path in MODULES if path.name == "__init__.py"}

    packages = configuration()["options"]["packages"].split()

    assert set(packages) == rooms | {"fhirbridge.mappings", "fhirbridge.samples"}
    assert packages == sorted(packages)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_each_outside_thing_is_touched_in_one_place(path: Path) -> None:
    assert breaches(path.read_text(), module_name(path), ONE_PLACE_EACH) == []


@pytest.mark.parametrize("rule", ONE_PLACE_EACH, ids=lambda rule: rule.why)
def test_no_allowance_outlives_its_reason(rule: Rule) -> None:
    users = {
        module_name(path)
        for path in MODULES
        if any(is_within(use.name, rule.names) for use in uses(path.read_text()))
    }

    idle = [
        room for room in rule.allowed if not any(is_within(m, frozenset({room})) for m in users)
    ]

    assert idle == []


@pytest.mark.parametrize(
    "planted",
    [
        "import datetime\nx = datetime.datetime.now()",
        "from datetime import datetime as moment\nx = moment.now()",
        "from datetime import date\nx = date.today()",
        "import time as t\nt.monotonic()",
        "def f():\n    from time import sleep\n    sleep(1)",
        "from secrets import token_bytes",
        "import random",
        "import uuid\nuuid.uuid4()",
        "import os\nos.environ['X']",
        "from os import getenv",
        "import json as j\nj.loads('1.0')",
        "from flask import jsonify",
        "import sqlite3",
        "from sqlalchemy.orm import Session",
    ],
)
def test_a_planted_shortcut_is_found(planted: str) -> None:
    assert breaches(planted, "fhirbridge.translate.planted", ONE_PLACE_EACH)


@pytest.mark.parametrize(
    "innocent",
    [
        "from datetime import datetime, time\nx = datetime.fromisoformat('2026-01-01')",
        "def now(clock):\n    return clock.now()",
        "import json\nx = json.JSONDecodeError",
        "import os\nx = os.fsync",
        "time = 3\nx = time",
    ],
)
def test_what_only_looks_like_a_shortcut_is_left_alone(innocent: str) -> None:
    assert breaches(innocent, "fhirbridge.translate.planted", ONE_PLACE_EACH) == []


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_file_fits_in_one_sitting(path: Path) -> None:
    assert path.read_text().count("\n") <= LONGEST_FILE


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_name_says_something_of_its_own(path: Path) -> None:
    assert path.stem not in NAMES_THAT_SAY_NOTHING
    assert path.stem not in sys.stdlib_module_names


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.name == "__init__.py"], ids=module_name
)
def test_a_package_file_only_says_what_the_room_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text())
    may_hold_code = path.parent == PROGRAM or path.parent.name in DOORS

    assert ast.get_docstring(tree)
    assert len(tree.body) == 1 or may_hold_code


@pytest.mark.parametrize("path", TESTS, ids=module_name)
def test_tests_neither_mock_nor_sleep_nor_skip(path: Path) -> None:
    assert breaches(path.read_text(), module_name(path), HONEST_TESTS) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from unittest import mock",
        "from unittest.mock import patch",
        "import time\ntime.sleep(1)",
        "import pytest\n@pytest.mark.skip\ndef test(): ...",
        "from pytest import skip",
    ],
)
def test_a_dishonest_test_is_found(planted: str) -> None:
    assert breaches(planted, "tests.planted", HONEST_TESTS)
