"""Certificate authorities and server certificates for tests, made on the spot."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhirbridge.clock import SystemClock

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def write(self, path: Path) -> Path:
        """Write both as one PEM file, as the ssl module likes it."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM) + key)
        return path

    def context(self, path: Path) -> ssl.SSLContext:
        """Return a server's context that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.write(path))
        return context


def authority(title: str = "Test authority") -> Identity:
    return _made(title, ca=True)


def server(
    issuer: Identity | None,
    *names: str,
    subject: str = "Test server",
    begins: datetime | None = None,
    ends: datetime | None = None,
) -> Identity:
    """Return a server's certificate, good for a day; without an issuer it signs itself."""
    return _made(subject, issuer=issuer, names=names, begins=begins, ends=ends)


def _made(
    title: str,
    *,
    issuer: Identity | None = None,
    names: tuple[str, ...] = (),
    begins: datetime | None = None,
    ends: datetime | None = None,
    ca: bool = False,
) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    ends = ends or SystemClock().now() + DAY
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins or ends - 2 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    signer = issuer.key if issuer else key
    return Identity(certificate=builder.sign(signer, hashes.SHA256()), key=key)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
