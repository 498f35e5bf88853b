"""Certificates and private keys as people hand them in: PEM, read by the library."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from fhirbridge.egress.way import BadCertificateError

_DER = serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Whose it is, as one line, and until when it is good."""

    subject: str
    ends: datetime


def read(pem: str, option: str) -> list[Certificate]:
    """Read one or more certificates. Raises BadCertificateError, which names the option."""
    return [
        Certificate(subject=one.subject.rfc4514_string(), ends=one.not_valid_after_utc)
        for one in _loaded(pem, option)
    ]


def check_pair(certificate: str, key: str) -> None:
    """Refuse a private key that is not the certificate's. Raises BadCertificateError."""
    first = _loaded(certificate, "--certificate")[0]
    try:
        ours = serialization.load_pem_private_key(key.encode("ascii"), password=None).public_key()
    except (TypeError, ValueError, UnsupportedAlgorithm):  # without its cause, which may quote it
        raise BadCertificateError(
            "--key is not a private key in PEM form, or it is encrypted",
            hint="decrypt it first: openssl pkey -in KEY -out KEY.plain; it is sealed here",
        ) from None
    if ours.public_bytes(_DER, _SPKI) != first.public_key().public_bytes(_DER, _SPKI):
        raise BadCertificateError(
            "--key does not belong to the first certificate in --certificate",
            hint="put our own certificate first, the chain after it",
        )


def _loaded(pem: str, option: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificateError(
            f"{option} holds no certificates in PEM form",
            hint="it has blocks that begin with -----BEGIN CERTIFICATE-----",
        ) from None
