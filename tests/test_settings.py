"""Settings are read once; a wrong one stops the start, and all wrong ones are told together."""

from dataclasses import fields
from pathlib import Path

import pytest

from fhirbridge import settings
from fhirbridge.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in fields(Settings):
        monkeypatch.delenv(f"FHIRBRIDGE_{field.name.upper()}", raising=False)


def test_without_any_setting_everything_lies_in_one_folder_and_only_this_machine_is_served() -> (
    None
):
    assert settings.read() == Settings(
        home=Path("fhirbridge-data"),
        database_url="sqlite:///fhirbridge-data/fhirbridge.db",
        master_key_file=Path("fhirbridge-data/master.key"),
        site_key_file=Path("fhirbridge-data/site.key"),
        mappings=settings.packaged_mappings(),
        site="fhirbridge.invalid",
        tenant="main",
        bind="127.0.0.1:8350",
        ca_file=None,
        quarantine_days=30,
        quarantine_most=1000,
        most_bytes=2_000_000,
        watch_seconds=60,
    )


def test_the_folder_moves_what_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIRBRIDGE_HOME", "/srv/bridge")
    monkeypatch.setenv("FHIRBRIDGE_SITE_KEY_FILE", "/run/secrets/site.key")

    read = settings.read()

    assert read.database_url == "sqlite:////srv/bridge/fhirbridge.db"
    assert read.master_key_file == Path("/srv/bridge/master.key")
    assert read.site_key_file == Path("/run/secrets/site.key")


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("DATABASE_URL", "sqlite:////x.db", "sqlite:////x.db"),
        ("MAPPINGS", "/etc/mappings", Path("/etc/mappings")),
        ("CA_FILE", "/etc/ca.pem", Path("/etc/ca.pem")),
        ("SITE", "clinic.example.org", "clinic.example.org"),
        ("TENANT", "clinic-2", "clinic-2"),
        ("BIND", "0.0.0.0:80", "0.0.0.0:80"),
        ("BIND", "[::1]:65535", "[::1]:65535"),
        ("BIND", "127.0.0.1:0", "127.0.0.1:0"),
        ("QUARANTINE_DAYS", "1", 1),
        ("QUARANTINE_DAYS", "3650", 3650),
        ("QUARANTINE_MOST", "1000000", 1_000_000),
        ("MOST_BYTES", "1000", 1000),
    ],
)
def test_a_setting_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: object
) -> None:
    monkeypatch.setenv(f"FHIRBRIDGE_{name}", value)

    assert getattr(settings.read(), name.lower()) == read


WRONG = [
    ("SITE", ""),
    ("SITE", "Clinic.example.org"),
    ("SITE", "clinic example"),
    ("SITE", "clinic.example.org/x"),
    ("SITE", "clinic.example.org\n"),
    ("SITE", "a" * 254),
    ("TENANT", ""),
    ("TENANT", "Main"),
    ("TENANT", "main\n"),
    ("TENANT", "a" * 41),
    ("BIND", "8350"),
    ("BIND", "127.0.0.1"),
    ("BIND", "127.0.0.1:http"),
    ("BIND", "127.0.0.1:123456"),
    ("BIND", "127.0.0.1:65536"),
    ("BIND", "127.0.0.1:80\n"),
    ("BIND", "http://127.0.0.1:80"),
    ("QUARANTINE_DAYS", "0"),
    ("QUARANTINE_DAYS", "3651"),
    ("QUARANTINE_DAYS", "thirty"),
    ("QUARANTINE_DAYS", "1.5"),
    ("QUARANTINE_MOST", "-1"),
    ("MOST_BYTES", "999"),
    ("MOST_BYTES", "100000001"),
    ("MOST_BYTES", ""),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_named_and_its_value_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"FHIRBRIDGE_{name}", value)

    with pytest.raises(SettingsError) as refused:
        settings.read()

    assert f"FHIRBRIDGE_{name}: " in refused.value.message
    assert len(value) < 4 or value not in refused.value.message
    assert Path(refused.value.hint.split()[0]).is_file()


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in [("SITE", "?"), ("BIND", "?"), ("MOST_BYTES", "?"), ("TENNANT", "main")]:
        monkeypatch.setenv(f"FHIRBRIDGE_{name}", value)

    with pytest.raises(SettingsError) as refused:
        settings.read()

    told = refused.value.message.removeprefix("settings that cannot be used: ")
    assert [part.split(":")[0] for part in told.split("; ")] == [
        "FHIRBRIDGE_BIND",
        "FHIRBRIDGE_MOST_BYTES",
        "FHIRBRIDGE_SITE",
        "FHIRBRIDGE_TENNANT",
    ]


@pytest.mark.parametrize("name", ["TENNANT", "DATABASE", "KEY", "", "home", "SITE_", "PORT"])
def test_a_name_that_is_no_setting_is_not_taken_for_the_default(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"FHIRBRIDGE_{name}", "x")

    with pytest.raises(SettingsError, match=f"FHIRBRIDGE_{name}: there is no such setting"):
        settings.read()


def test_what_the_tests_are_given_is_no_setting_of_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FHIRBRIDGE_TEST_US_CORE", "/x.tgz")

    settings.read()


def test_every_setting_is_documented() -> None:
    told = (Path(__file__).parents[1] / "docs" / "settings.md").read_text("utf-8")

    missing = [f.name for f in fields(Settings) if f"FHIRBRIDGE_{f.name.upper()}" not in told]

    assert missing == []


def test_what_is_started_apart_inherits_none_of_our_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FHIRBRIDGE_HOME", "/srv/real")
    monkeypatch.setenv("UNRELATED", "kept")

    foreign = settings.foreign_environment()

    assert not [name for name in foreign if name.startswith("FHIRBRIDGE_")]
    assert foreign["UNRELATED"] == "kept"


def test_mappings_come_with_the_program() -> None:
    assert list(settings.packaged_mappings().glob("resources/*.yaml"))
