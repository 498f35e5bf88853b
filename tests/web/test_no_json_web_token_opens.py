"""A5, A9: a token is one of ours or it is nothing; whatever else it claims, nobody is asked."""

import base64
import hmac
import socket
from typing import Any

import pytest
from joserfc import jwk, jwt

from fhirbridge.access.tokens import Role
from fhirbridge.clock import SystemClock
from tests.web.service import STATUS, Service

KEY = jwk.ECKey.generate_key("P-256", parameters={"kid": "a-key-that-nobody-published"})
OCTETS = jwk.OctKey.import_key("a secret of thirty-two octets ...")
CLAIMS = {"iss": "https://idp.test", "aud": "fhirbridge", "sub": "admin", "scope": "system/*.*"}
SOON = 300


def signed(head: dict[str, Any], claims: dict[str, Any], key: Any = KEY) -> str:
    return jwt.encode(head, claims, key, algorithms=[head["alg"]])


def unsigned(claims: dict[str, Any]) -> str:
    head, body, _ = signed({"alg": "HS256"}, claims, OCTETS).split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"  # {"alg":"none","typ":"JWT"}
    assert head != none
    return f"{none}.{body}."


def confused(claims: dict[str, Any]) -> str:
    """A public key used as a secret; the library refuses to do it."""
    content = signed({"alg": "HS256"}, claims, OCTETS).rpartition(".")[0]
    made = hmac.digest(KEY.as_pem(private=False), content.encode(), "sha256")
    return f"{content}.{base64.urlsafe_b64encode(made).rstrip(b'=').decode()}"


def now() -> int:
    return int(SystemClock().now().timestamp())


def tokens() -> dict[str, str]:
    good = CLAIMS | {"iat": now(), "exp": now() + SOON}
    es = {"alg": "ES256", "typ": "JWT"}
    jku = {"jku": "https://evil.test/keys", "x5u": "https://evil.test/cert"}
    return {
        "signed by somebody": signed(es, good),
        "with an unknown kid": signed({**es, "kid": "unknown"}, good),
        "alg none": unsigned(good),
        "a public key used as a secret": confused(good),
        "keys of its own by jku and x5u": signed({**es, **jku}, good),
        "a key of its own by jwk": signed({**es, "jwk": KEY.as_dict(private=False)}, good),
        "for somebody else": signed(es, good | {"aud": "another"}),
        "of another issuer": signed(es, good | {"iss": "https://other.test"}),
        "of another typ": signed({**es, "typ": "logout+jwt"}, good),
        "that ended a second ago": signed(es, good | {"exp": now() - 1}),
        "that begins later": signed(es, good | {"nbf": now() + SOON}),
        "a megabyte long": "A" * 1_048_576,
    }


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whom the service tried to reach."""
    reached: list[Any] = []

    def note(*where: Any, **_: Any) -> list[Any]:
        reached.append(where)
        return []

    monkeypatch.setattr(socket.socket, "connect", note)
    monkeypatch.setattr(socket, "getaddrinfo", note)
    return reached


@pytest.mark.parametrize("kind", tokens())
def test_a5_a9_what_is_not_our_token_is_a_401_and_nobody_is_asked_about_it(
    service: Service, asked: list[Any], kind: str
) -> None:
    answer = service.client().get(STATUS, headers={"Authorization": f"Bearer {tokens()[kind]}"})

    assert answer.status_code == 401
    assert not asked
    assert not service.evidence()  # a flood must not fill the log


def test_a9_a_good_token_beside_a_second_one_is_no_token(service: Service) -> None:
    good = service.token(Role.ADMIN)
    client = service.client()

    assert client.get(STATUS, headers={"Authorization": f"Bearer {good}"}).status_code == 200
    for both in (f"Bearer {good}, Bearer {good}", f"Bearer {good} {good}"):
        assert client.get(STATUS, headers={"Authorization": both}).status_code == 401
    asked_by_address = client.get(f"{STATUS}?access_token={good}")
    assert asked_by_address.status_code == 401
