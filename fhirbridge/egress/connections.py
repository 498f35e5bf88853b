"""The places in `requests` and urllib3 where our rules come in: dialing, trust, strict reading."""

import http.client
import io
import logging
import os
import socket
import ssl
from pathlib import Path
from typing import Any, cast

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HeaderParsingError, HTTPError
from urllib3.poolmanager import PoolManager
from urllib3.response import HTTPResponse
from urllib3.util.response import assert_header_parsing

from fhirbridge.egress.tunnel import dial
from fhirbridge.egress.way import DIRECT, BadCertificateError, Way
from fhirbridge.egress.wire import (
    CURRENT,
    OUR_CERTIFICATE,
    Phase,
    StoppedError,
    handshake_words,
    network_words,
)
from fhirbridge.errors import BridgeError

MOST_HOSTS = 16
MOST_IDLE_PER_HOST = 8

_SLICE = 1 << 16
_FIRST_FINAL_STATUS = 200

# urllib3 logs URLs and the headers that it cannot read; ours say what happened without them.
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)


class BadCaFileError(BridgeError):
    """The file of trusted certificate authorities cannot be used."""

    code = "E703"


def trust(ca_file: Path | None, way: Way = DIRECT) -> ssl.SSLContext:
    """Return the rules for TLS: 1.2 or newer, certificate and name always verified.

    `ca_file` (PEM) replaces the public authorities, those of the way replace both. Made by hand,
    since `create_default_context` obeys SSLKEYLOGFILE. Raises BadCaFileError, BadCertificateError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.hostname_checks_common_name = False
    if way.authorities:
        _trust_only(context, way.authorities)
    else:
        _trust_file(context, ca_file)
    if way.certificate:
        _show(context, way)
    return context


def _trust_file(context: ssl.SSLContext, ca_file: Path | None) -> None:
    try:
        context.load_verify_locations(cafile=str(ca_file or DEFAULT_CA_BUNDLE_PATH))
    except OSError as error:
        message = f"The CA file {ca_file} cannot be read as PEM certificates."
        hint = "Name a file with -----BEGIN CERTIFICATE----- blocks, or leave the setting out."
        raise BadCaFileError(message, hint=hint) from error


def _trust_only(context: ssl.SSLContext, authorities: str) -> None:
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError) as error:
        message = "the destination's own authorities are not PEM certificates"
        raise BadCertificateError(message, hint="give --ca-file again") from error


def _show(context: ssl.SSLContext, way: Way) -> None:
    """Let servers see our certificate. OpenSSL reads files only: this one is never on a disk."""
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, f"{way.certificate}\n{way.key}\n".encode("ascii"))
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    except (OSError, ValueError):  # without its cause: OpenSSL may tell of the key
        message = "our certificate and its key do not belong together, or are not PEM"
        raise BadCertificateError(message, hint="give --certificate and --key again") from None
    finally:
        os.close(descriptor)


class Adapter(HTTPAdapter):
    """A pool of our connections.

    Used without a `requests.Session`, which would bring proxies, .netrc and CA bundles from the
    environment, keep cookies, and read the body of a redirect without a limit.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        """Trust whom `context` trusts; try each request once."""
        super().__init__(max_retries=0)
        pools = PoolManager(num_pools=MOST_HOSTS, maxsize=MOST_IDLE_PER_HOST, ssl_context=context)
        pools.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        self.poolmanager = self._pools = pools

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_: object, **__: object
    ) -> HTTPConnectionPool:
        """Return the pool for the host. Whom to trust is in the context, and there is no proxy."""
        return self._pools.connection_from_url(request.url or "")

    def cert_verify(self, *_: object, **__: object) -> None:
        """Leave the pool as it is: `requests` would add authorities, or turn checking off."""


class StrictAnswer(http.client.HTTPResponse):
    """An answer whose end of headers was seen; http.client takes a cut there for their end."""

    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        raw = cast("socket.SocketIO", self.fp.detach())
        self.fp = _Lines(_Watched(raw, sock))

    def begin(self) -> None:
        super().begin()
        try:
            assert_header_parsing(self.msg)
        except HeaderParsingError as error:
            raise StoppedError(Phase.ANSWER, "bad headers") from error
        # After a 103 comes the real answer, and it would be read as the answer to the next request.
        if self.status < _FIRST_FINAL_STATUS:
            raise StoppedError(Phase.ANSWER, "not final")


class _Watched(io.RawIOBase):
    """A socket's file that asks the call before each read and tells it after."""

    def __init__(self, raw: socket.SocketIO, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        call = CURRENT.get()
        call.arm(self._sock)
        size = self._raw.readinto(buffer)
        call.spend(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Lines(io.BufferedReader):
    """A file in which a line without an end is an error, not the last line."""

    _answered = False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise StoppedError(Phase.ANSWER, "cut short" if line or self._answered else "none came")
        self._answered = True
        return line


class _Plain(HTTPConnection):
    """A connection that dials by our rules and reads strictly."""

    response_class = StrictAnswer
    plain = True

    def _new_conn(self) -> socket.socket:
        return dial(self._dns_host, self.port, plain=self.plain)

    def send(self, data: Any) -> None:
        """Write `data` in slices, so that a slow reader cannot outlast the call."""
        call = CURRENT.get()
        if self.sock is None:
            self.connect()
        call.phase, call.began = Phase.SEND, True
        try:
            for start in range(0, len(data), _SLICE):
                call.arm(self.sock)
                super().send(memoryview(data)[start : start + _SLICE])
        except ConnectionError:
            raise  # urllib3 still looks for an answer: a server may refuse early and hang up
        except ssl.SSLEOFError as error:
            raise BrokenPipeError from error  # the same, under TLS: it may say what it refused
        except OSError as error:
            raise StoppedError(Phase.SEND, network_words(error)) from error

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        call = CURRENT.get()
        call.phase = Phase.READ
        try:
            return super().getresponse()
        except OSError as error:
            raise _no_answer(error) from error
        except http.client.HTTPException as error:
            raise StoppedError(Phase.ANSWER, "not HTTP") from error
        except HTTPError as error:
            raise StoppedError(Phase.ANSWER, "bad headers") from error


def _no_answer(error: OSError) -> StoppedError:
    words = network_words(error)
    if words.startswith(OUR_CERTIFICATE):
        # TLS 1.3 tells it after our first bytes, and before the server looks at any of them.
        CURRENT.get().began = False
        return StoppedError(Phase.TLS, words)
    return StoppedError(Phase.READ, words)


class _Tls(_Plain, HTTPSConnection):
    """The same under TLS."""

    plain = False

    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            raise StoppedError(Phase.TLS, handshake_words(error)) from error
        # An end without a TLS goodbye is a cut, not an end.
        cast("Any", self.sock).suppress_ragged_eofs = False


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls
