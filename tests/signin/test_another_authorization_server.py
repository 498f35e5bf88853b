"""R28: Authlib's authorization server, which is not ours, takes our assertions by our JWKS URL."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError, grants
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from flask import Flask, Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from werkzeug.serving import WSGIRequestHandler, make_server

from fhirbridge.fhir import codec
from fhirbridge.signin.keys import Algorithm
from fhirbridge.signin.methods import Change
from tests.signin.ground import CLIENT, SMART, Ground

TOKEN = "token-of-authlib"


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Client(ClientMixin):  # type: ignore[misc]
    """We, as they registered us: a client id and the address of our keys."""

    def get_client_id(self) -> str:
        return CLIENT

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method, endpoint) == ("client_assertion_jwt", "token")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


class Theirs:
    """A FHIR server of one resource, and Authlib in front of it."""

    def __init__(self, jwks_url: str) -> None:
        self.jwks_url = jwks_url
        self.address = ""
        self.algorithms: list[str] = []
        self.seen: set[str] = set()
        self.assertions: list[str] = []
        self.hidden = ""  # a kid that they have not fetched yet
        self.app = Flask("theirs")
        server = AuthorizationServer(
            self.app,
            query_client=lambda name: Client() if name == CLIENT else None,
            save_token=lambda *_: None,
        )
        server.register_token_generator("default", self._token)
        server.register_client_auth_method("client_assertion_jwt", self._assertion())
        grant = type(
            "Grant",
            (grants.ClientCredentialsGrant,),
            {"TOKEN_ENDPOINT_AUTH_METHODS": ["client_assertion_jwt"]},
        )
        server.register_grant(grant)
        self.app.add_url_rule("/token", "token", server.create_token_response, methods=["POST"])
        self.app.add_url_rule("/fhir/<path:below>", "fhir", self._fhir)

    def _fhir(self, below: str) -> Response:
        said: Any = {"resourceType": "Patient", "id": "abc"}
        if below.endswith("smart-configuration"):
            said = {"token_endpoint": f"{self.address}/token"}
        return Response(codec.encode(said), content_type="application/json")

    @staticmethod
    def _token(**_: Any) -> dict[str, Any]:
        return {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300}

    def _assertion(theirs) -> JWTBearerClientAssertion:  # noqa: N805  seen from within the class
        class Assertion(JWTBearerClientAssertion):  # type: ignore[misc]
            def get_audiences(self) -> list[str]:
                return [f"{theirs.address}/token"]

            def resolve_client_public_key(self, _client: Client) -> KeySet:
                found = requests.get(theirs.jwks_url, timeout=10)
                assert found.headers["Cache-Control"].startswith("public, max-age=")
                listed = codec.decode(found.content)["keys"]
                shown = [one for one in listed if one["kid"] != theirs.hidden]
                return KeySet.import_key_set({"keys": shown})

            def extract_assertion(self, assertion: str) -> Any:
                headers, claims = super().extract_assertion(assertion)
                theirs.algorithms.append(headers["alg"])
                theirs.assertions.append(assertion)
                return headers, claims

            def process_assertion_claims(self, assertion: str, key: Any) -> Any:
                try:
                    token = jwt.decode(assertion, key, algorithms=["ES384", "RS384"])
                except (JoseError, ValueError) as error:
                    raise InvalidClientError from error
                self.verify_claims(token.claims)
                return token.claims

            def validate_jti(self, _claims: Any, jti: str) -> bool:
                fresh = jti not in theirs.seen
                theirs.seen.add(jti)
                return fresh

        return Assertion()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with closing(Ground(tmp_path / "sign-in.db", "")) as made:
        yield made


@pytest.fixture
def theirs(ground: Ground) -> Iterator[Theirs]:
    ours = Flask("ours")

    def keys() -> Response:
        with ground.store.read() as tx:
            body = codec.encode(ground.keys.published(tx))
        return Response(body, headers={"Cache-Control": "public, max-age=3600"})

    ours.add_url_rule("/.well-known/jwks.json", "keys", keys)
    with serving(ours) as our_address:
        made = Theirs(f"{our_address}/.well-known/jwks.json")
        with serving(made.app) as address:
            made.address = address
            yield made


@pytest.mark.parametrize("algorithm", [*Algorithm])
def test_r28_it_accepts_our_assertions_and_refuses_one_that_was_used(
    ground: Ground, theirs: Theirs, algorithm: Algorithm
) -> None:
    ground.new_key(algorithm)
    ground.set(SMART)
    ground.at(f"{theirs.address}/fhir")

    assert ground.status() == 200
    ground.set(Change())
    assert ground.status() == 200

    assert theirs.algorithms == [algorithm.value] * 2
    assert len(theirs.seen) == 2
    again = requests.post(
        f"{theirs.address}/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": theirs.assertions[0],
        },
        timeout=10,
    )
    assert (again.status_code, codec.decode(again.content)["error"]) == (400, "invalid_client")


def test_r28_it_refuses_what_a_key_signed_that_is_not_published_any_more(
    ground: Ground, theirs: Theirs
) -> None:
    old = ground.new_key().kid
    new = ground.new_key().kid
    ground.use(new, at_once=True)
    ground.set(SMART)
    ground.at(f"{theirs.address}/fhir")
    theirs.hidden = new
    assert old != new

    assert ground.refused().reason.startswith("sign-in: the token endpoint answered")

    theirs.hidden = ""
    ground.set(Change())
    assert ground.status() == 200
