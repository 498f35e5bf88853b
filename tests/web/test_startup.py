"""The application starts whole or not at all, and believes no header about where it is."""

import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from fhirbridge import opening
from fhirbridge.access.tokens import Role
from fhirbridge.settings import SOURCE_MAPPINGS
from fhirbridge.store.engine import StoreError
from fhirbridge.translate.faults import MappingError
from fhirbridge.web.app import DebugModeError, create_app
from tests.records.visits import a_visit
from tests.web.service import MOST_BYTES, SESSIONS, Service, settings_below

SPOOFED = {
    "Host": "evil.invalid",
    "X-Forwarded-Host": "evil.invalid",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "127.0.0.1",
    "Forwarded": "host=evil.invalid;for=127.0.0.1",
}


def test_a_bad_mapping_set_stops_the_first_start_with_all_its_mistakes_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    shutil.copytree(SOURCE_MAPPINGS, tmp_path / "mappings")
    broken = sorted((tmp_path / "mappings" / "resources").glob("*.yaml"))[:2]
    for path in broken:
        path.write_text("resource: Nothing\nunknown: 1\n")
    chosen = settings_below(tmp_path / "home", tmp_path / "mappings")

    with pytest.raises(MappingError) as refused:
        opening.initialise(chosen)

    assert not (tmp_path / "home").exists()
    assert all(path.name in refused.value.message for path in broken)


def test_what_is_not_given_comes_from_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FHIRBRIDGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FHIRBRIDGE_MOST_BYTES", "1234")
    opening.initialise(settings_below(tmp_path / "home"))

    app = create_app()

    app.extensions["fhirbridge"].close()
    assert app.config["MOST_BYTES"] == 1234
    assert app.test_client().get("/healthz").status_code == 200


def test_a_database_that_is_not_there_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings_below(tmp_path / "home")
    opening.initialise(chosen)
    (tmp_path / "home" / "fhirbridge.db").unlink()
    monkeypatch.setenv("FHIRBRIDGE_HOME", str(tmp_path / "home"))

    with pytest.raises(StoreError):
        create_app()


def test_s33_the_debug_mode_stops_the_start(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (service.app.debug, service.app.testing) == (False, False)
    monkeypatch.setenv("FLASK_DEBUG", "1")

    with pytest.raises(DebugModeError):
        create_app(service.bridge, most_bytes=MOST_BYTES)


def test_s34_no_address_is_built_from_a_header(service: Service) -> None:
    plain = service.send(a_visit())
    spoofed = service.send(a_visit(), headers=SPOOFED)

    assert spoofed.headers["Location"] == plain.headers["Location"]
    assert plain.headers["Location"].startswith(f"{SESSIONS}/")


@pytest.mark.parametrize("path", ["//evil.invalid/healthz", "/healthz/", "/api//v1/status"])
@pytest.mark.parametrize("role", [None, Role.ADMIN])
def test_s34_nobody_is_led_elsewhere(service: Service, role: Role | None, path: str) -> None:
    answer = service.client(role).get(path, headers=SPOOFED)

    assert answer.status_code in {200, 401, 404}
    assert "Location" not in answer.headers


@pytest.mark.parametrize("host", ["", "a b", "<script>", "[::1", "x" * 1000, "\xe4.invalid"])
def test_s34_a_host_that_is_none_breaks_nothing(service: Service, host: str) -> None:
    answer = FlaskClient(service.app).get("/healthz", headers={"Host": host})

    assert answer.status_code in {200, 401}
