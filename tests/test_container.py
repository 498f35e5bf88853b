"""What the image is made of, as docs/operate.md says. Read here; no container engine is asked."""

import re
import shlex
from pathlib import Path

import pytest

from fhirbridge.settings import Settings, name_of
from tests.source_rules import ROOT

FILE = ROOT / "deploy" / "Containerfile"
LOCK = ROOT / "deploy" / "requirements.lock"
SECRET = re.compile(r"(?i)passw|secret|token|\.key\b|private")


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the file with its words, in order."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(one.split()[0], one.partition(" ")[2]) for one in whole.splitlines() if one.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    froms = [place for place, (name, _) in enumerate(found) if name == "FROM"]
    return found[froms[-1] :]


def pins(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of each distribution in a lock."""
    found = {}
    for block in re.split(r"\n(?=[a-z0-9])", path.read_text()):
        named = re.match(r"([a-z0-9.-]+)(?:\[[a-z,]+\])?==(\S+)", block)
        if named:
            found[named[1]] = (named[2], frozenset(re.findall(r"sha256:[0-9a-f]{64}", block)))
    return found


def test_s20_it_runs_as_nobody_of_note_and_writes_to_one_volume() -> None:
    said = dict(last_stage())

    assert said["USER"] == "10001:10001"
    assert said["VOLUME"] == said["WORKDIR"] == "/var/lib/fhirbridge"
    assert (said["ENTRYPOINT"], said["CMD"]) == ('["fhirbridge"]', '["serve"]')
    assert "/healthz" in said["HEALTHCHECK"]
    assert [name for name, _ in last_stage()].index("USER") < [
        name for name, _ in last_stage()
    ].index("ENTRYPOINT")


def test_the_base_has_a_name_and_a_version_and_both_stages_have_the_same() -> None:
    bases = [words.split()[0] for name, words in instructions() if name == "FROM"]
    (base,) = [words for name, words in instructions() if name == "ARG"]

    assert bases == ["${BASE}", "${BASE}"]
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.11-slim-bookworm", base)


def test_s32_nothing_is_installed_that_is_not_in_the_lock_with_its_hash() -> None:
    installs = [words for name, words in instructions() if name == "RUN" and "pip install" in words]

    assert len(installs) == 2
    assert ["--require-hashes" in one or "--no-deps" in one for one in installs] == [True, True]
    ours, all_of_it = pins(LOCK), pins(ROOT / "requirements.lock")
    assert ours
    assert {name: pin for name, pin in ours.items() if all_of_it.get(name) != pin} == {}
    assert not {"pytest", "hypothesis", "authlib", "mypy"} & ours.keys()


@pytest.mark.parametrize(("name", "words"), instructions())
def test_s20_no_secret_and_no_folder_as_a_whole_goes_into_a_layer(name: str, words: str) -> None:
    if name in ("ARG", "ENV", "COPY", "ADD"):
        assert not SECRET.search(words)
    if name == "COPY" and "--from" not in words:
        assert all(one not in (".", "./", "*", "..") for one in shlex.split(words)[:-1])
    assert name != "ADD"


def test_s20_what_the_builder_gets_to_see_is_named_one_by_one() -> None:
    ignored = (ROOT / ".containerignore").read_text().splitlines()
    shown = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        one
        for name, words in instructions()
        if name == "COPY" and "--from" not in words
        for one in shlex.split(words)[:-1]
    }

    assert "*" in ignored
    assert shown == copied
    assert all((ROOT / one).exists() for one in copied)


def test_its_environment_is_made_of_settings_that_there_are() -> None:
    environment = " ".join(words for name, words in instructions() if name == "ENV")
    known = {name_of(field) for field in Settings.__dataclass_fields__}

    assert set(re.findall(r"FHIRBRIDGE_\w+", environment)) <= known
