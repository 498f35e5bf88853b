"""R64: what signs a package is a JWS to libraries that are not ours."""

from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from jwcrypto import jwk, jws
from jwcrypto.common import JWException

from fhirbridge.fhir import codec
from tests.exports.conftest import Clinic
from tests.npm import packages

JOSE = Path(__file__).parent / "jose.mjs"
Check = Callable[[str, str, bytes], str]


def by_jwcrypto(x: str, signature: str, payload: bytes) -> str:
    """What PyPI's jwcrypto says is wrong, or ""."""
    token = jws.JWS()
    token.deserialize(signature)
    try:
        token.verify(jwk.JWK(kty="OKP", crv="Ed25519", x=x), detached_payload=payload)
    except JWException as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def jose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where npm's jose lies."""
    where = packages.installed(tmp_path_factory.mktemp("npm")) / "jose"
    return where / "dist" / "webapi" / "index.js"


@pytest.fixture
def by_jose(jose: Path) -> Check:
    def check(x: str, signature: str, payload: bytes) -> str:
        given = {"x": x, "jws": signature, "payload": b64encode(payload).decode()}
        return str(packages.node(JOSE, str(jose), given=codec.encode(given)))

    return check


def public(clinic: Clinic) -> str:
    """The x of the signing key, from the line that the clinic hands out."""
    (line,) = [one for one in clinic.keys.read_text("utf-8").splitlines() if one[0] != "#"]
    raw = b64decode(line.split("+", 2)[2])
    return urlsafe_b64encode(raw[1:]).rstrip(b"=").decode()


def test_r64_jose_and_jwcrypto_verify_a_manifest_and_refuse_a_changed_byte(
    clinic: Clinic, by_jose: Check
) -> None:
    package = clinic.export()
    manifest = (package / "manifest.json").read_bytes()
    signature = (package / "manifest.jws").read_text("ascii").strip()
    changed = manifest.replace(b"1", b"2", 1)

    for check in (by_jwcrypto, by_jose):
        assert check(public(clinic), signature, manifest) == ""
        assert check(public(clinic), signature, changed) != ""
