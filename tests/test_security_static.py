"""Security rules that the source must obey: S08 (one way out), S24 (nothing runs data)."""

from pathlib import Path

import pytest

from tests.source_rules import ROOT, Rule, breaches, module_name

MODULES = [*sorted((ROOT / "fhirbridge").rglob("*.py")), *sorted(ROOT.glob("*.py"))]

ONE_WAY_OUT = (
    Rule(
        why="S08: only egress opens connections",
        names=frozenset(
            {
                "_socket",
                "aiohttp",
                "ftplib",
                "http.client",
                "http.server",
                "httpx",
                "imaplib",
                "poplib",
                "requests",
                "requests_hardened",
                "smtplib",
                "socket",
                "socketserver",
                "ssl",
                "telnetlib",
                "urllib.request",
                "urllib3",
                "webbrowser",
                "websockets",
                "xmlrpc",
            }
        ),
        # The client runs in another system, and asks this one. The server's worker sets options of
        # connections that others opened.
        allowed=frozenset({"fhirbridge.cli.buffering", "fhirbridge.client", "fhirbridge.egress"}),
    ),
    Rule(
        why="S08: an event loop opens connections too; procrastinate's goes to our database alone",
        names=frozenset({"asyncio"}),
        allowed=frozenset({"fhirbridge.store.job_worker"}),
    ),
    Rule(
        why="S08: only the doors listen",
        names=frozenset({"gunicorn", "waitress", "werkzeug.serving", "wsgiref"}),
        allowed=frozenset({"fhirbridge.cli", "fhirbridge.sandbox"}),
    ),
)

NOTHING_RUNS_DATA = (
    Rule(
        why="S24: reading data must not run it",
        names=frozenset(
            {"cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "pickle", "shelve"}
            | {"yaml.CFullLoader", "yaml.CLoader", "yaml.CUnsafeLoader", "yaml.FullLoader"}
            | {"yaml.Loader", "yaml.UnsafeLoader", "yaml.full_load", "yaml.full_load_all"}
            | {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.unsafe_load_all"}
        ),
    ),
    Rule(
        why="S24: text is never code",
        names=frozenset(
            {"__import__", "builtins", "code", "codeop", "compile", "eval", "exec", "runpy"}
            | {"importlib.__import__", "timeit"}
        ),
    ),
    Rule(
        why="S24: only the command line imports late, from its own table of commands",
        names=frozenset({"importlib.import_module"}),
        allowed=frozenset({"fhirbridge.cli"}),
    ),
    Rule(
        why="S24: no shell",
        names=frozenset(
            {"commands", "os.popen", "os.system", "pty", "shell="}
            | {"asyncio.create_subprocess_shell", "subprocess.getoutput"}
            | {"subprocess.getstatusoutput"}
        ),
    ),
    Rule(
        why="S24: no XML parser",
        names=frozenset({"defusedxml", "lxml", "plistlib", "xml", "xmltodict"}),
    ),
)

CONNECTIONS = [
    "import requests",
    "from requests import Session",
    "def f():\n    import requests.adapters",
    "import urllib.request",
    "from urllib import request",
    "from urllib.request import urlopen as innocent",
    "import http.client as h",
    "from http import client",
    "import socket as s",
    "from socket import create_connection",
    "import ssl",
    "import httpx",
    "import aiohttp",
    "import urllib3",
    "import smtplib",
    "import asyncio",
    "from werkzeug.serving import run_simple",
]

DATA_THAT_RUNS = [
    "import pickle",
    "from pickle import loads as read",
    "import marshal",
    "import shelve",
    "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
    "from yaml import load",
    "import yaml\nyaml.unsafe_load(text)",
    "import yaml as y\nclass L(y.FullLoader): ...",
    "eval('1')",
    "exec('x = 1')",
    "compile('1', '', 'eval')",
    "run = eval",
    "__import__('requests')",
    "import importlib\nimportlib.import_module(name)",
    "import builtins",
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "from subprocess import Popen\nPopen('ls', shell=flag)",
    "import os\nos.system('ls')",
    "from os import popen",
    "import subprocess\nsubprocess.getoutput('ls')",
    "import xml.etree.ElementTree as E",
    "from xml import sax",
    "from lxml import etree",
    "import defusedxml",
]

INNOCENT = [
    "from urllib.parse import urlsplit",
    "from http import HTTPStatus",
    "import ipaddress",
    "import yaml\nclass L(yaml.SafeLoader): ...",
    "import yaml\nyaml.safe_load(text)",
    "import re\nre.compile('x')",
    "import subprocess\nsubprocess.run(['ls'], shell=False)",
    "transaction.exec_driver_sql('PRAGMA x')",
    "model.eval()",
]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_s08_only_egress_opens_connections(path: Path) -> None:
    assert breaches(path.read_text(), module_name(path), ONE_WAY_OUT) == []


@pytest.mark.parametrize("planted", CONNECTIONS)
def test_s08_a_planted_way_out_is_found(planted: str) -> None:
    assert breaches(planted, "fhirbridge.ehr.rest", ONE_WAY_OUT)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_s24_nothing_in_the_program_runs_data(path: Path) -> None:
    assert breaches(path.read_text(), module_name(path), NOTHING_RUNS_DATA) == []


@pytest.mark.parametrize("planted", DATA_THAT_RUNS)
def test_s24_planted_code_that_runs_data_is_found(planted: str) -> None:
    assert breaches(planted, "fhirbridge.egress", NOTHING_RUNS_DATA)


@pytest.mark.parametrize("innocent", INNOCENT)
def test_what_only_looks_dangerous_is_left_alone(innocent: str) -> None:
    assert breaches(innocent, "fhirbridge.translate", ONE_WAY_OUT + NOTHING_RUNS_DATA) == []
