"""One service: a bridge in a folder of its own, its web application, and a token per role."""

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from flask import Flask
from werkzeug.test import TestResponse

from fhirbridge import opening
from fhirbridge.access.tokens import Role
from fhirbridge.bridge import Bridge
from fhirbridge.fhir import codec
from fhirbridge.settings import Settings, packaged_mappings
from fhirbridge.web.app import create_app
from tests.web.documented_client import DocumentedClient, hold_to_its_document

SESSIONS = "/api/v1/sessions"
STATUS = "/api/v1/status"
STOCK = "/api/v1/stock"
EVENTS = "/api/v1/events"
DELIVERIES = "/api/v1/deliveries"
DESTINATIONS = "/api/v1/destinations"
SEARCH = f"{SESSIONS}/search"
FHIR_BASE = "https://bridge.clinic.invalid/fhir"
JSON = "application/json"
MOST_BYTES = 50_000


@dataclass
class Service:
    bridge: Bridge
    app: Flask
    database: Path
    log: io.StringIO
    tokens: dict[Role, str] = field(default_factory=dict)

    def client(self, role: Role | None = None) -> DocumentedClient:
        client = cast(DocumentedClient, self.app.test_client())
        if role is not None:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.token(role)}"
        return client

    def token(self, role: Role) -> str:
        if role not in self.tokens:
            facade = self.facade() if role is Role.READER else ""
            self.tokens[role] = self.bridge.make_token(
                name=f"a-{role}", role=role, facade=facade, actor="test"
            )
        return self.tokens[role]

    def facade(self) -> str:
        """Add the facade that a reader's token of this service reads, once."""
        if not any(one.is_facade for one in self.bridge.destinations()):
            self.bridge.add_facade(
                name="portal", base_url=FHIR_BASE, requires_consent=False, actor="test"
            )
        return "portal"

    def send(self, record: Any, **more: Any) -> TestResponse:
        """Post a record, or bytes as they are, as an integrator."""
        body = record if isinstance(record, bytes) else codec.encode(record)
        return self.client(Role.INTEGRATOR).post(
            SESSIONS, data=body, **{"content_type": JSON, **more}
        )

    def send_stream(self, body: Any, environ: dict[str, Any]) -> TestResponse:
        """Post what a server hands on as the body, under these WSGI variables, as an integrator."""
        return self.client(Role.INTEGRATOR).post(
            SESSIONS, content_type=JSON, environ_overrides={"wsgi.input": body, **environ}
        )

    def events(self) -> list[dict[str, Any]]:
        return [codec.decode(line.encode()) for line in self.log.getvalue().splitlines()]

    def evidence(self) -> list[tuple[str, str, str, str]]:
        """Return (actor, action, outcome, detail) of every row about requests."""
        chosen = "SELECT actor, action, outcome, detail FROM evidence WHERE actor LIKE 'token:%'"
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(f"{chosen} ORDER BY at").fetchall()

    def stored(self) -> int:
        """Count the records in the database."""
        with closing(sqlite3.connect(self.database)) as connection:
            return int(connection.execute("SELECT count(*) FROM record").fetchone()[0])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the database's write lock, as another program would."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    @contextmanager
    def unreadable(self) -> Iterator[None]:
        """Hold the database so that nobody can even read it."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")


def settings_below(home: Path, mappings: Path | None = None) -> Settings:
    return Settings(
        home=home,
        database_url=f"sqlite:///{home / 'fhirbridge.db'}",
        master_key_file=home / "master.key",
        site_key_file=home / "site.key",
        evidence_key_file=home / "evidence.key",
        mappings=mappings or packaged_mappings(),
        site="clinic.invalid",
        tenant="main",
        bind="127.0.0.1:0",
        ca_file=None,
        quarantine_days=30,
        quarantine_most=500,
        most_bytes=MOST_BYTES,
        watch_seconds=60,
    )


def a_service(home: Path, log: io.StringIO) -> Service:
    chosen = settings_below(home)
    opening.initialise(chosen)
    bridge = opening.open_bridge(chosen)
    app = create_app(bridge, most_bytes=chosen.most_bytes, requests_per_second=0)
    hold_to_its_document(app)
    log.truncate(0)
    log.seek(0)
    return Service(bridge=bridge, app=app, database=home / "fhirbridge.db", log=log)
