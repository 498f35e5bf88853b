"""The transport that really sends: one exchange within one deadline, told in three outcomes."""

import http.client
from pathlib import Path
from types import MappingProxyType
from typing import cast

from requests import PreparedRequest, RequestException
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from fhirbridge import __version__
from fhirbridge.clock import Clock
from fhirbridge.egress.body import BrokenBodyError, read_body
from fhirbridge.egress.connections import Adapter, StrictAnswer, trust
from fhirbridge.egress.exchange import NotSent, Request, Resolver, Response, Unknown
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.way import DIRECT, Way
from fhirbridge.egress.wire import CURRENT, Call, Phase, StoppedError, network_words

MOST_BYTES = 10_000_000

# What may arrive beside the body: at most 100 header lines of 64 KiB, and the framing of chunks.
_BESIDE_BODY = 1_000_000


class HttpTransport:
    """`Transport` over `requests`; threads may share one, and its idle connections."""

    def __init__(
        self,
        *,
        allowed: NetworkPolicy,
        clock: Clock,
        resolver: Resolver,
        ca_file: Path | None = None,
        max_bytes: int = MOST_BYTES,
        way: Way = DIRECT,
    ) -> None:
        """Reach what `allowed` says; `max_bytes` caps a body as it comes and as it is inflated.

        `ca_file` (PEM) replaces the public authorities. Raises BadCaFileError, BadCertificateError.
        """
        self._allowed = allowed
        self._clock = clock
        self._resolver = resolver
        self._max_bytes = max_bytes
        self._proxy = way.proxy
        self._adapter = Adapter(trust(ca_file, way))

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        """Do one exchange within `deadline_seconds`, all told. Never raises for the network.

        A redirect is an answer like any other: nothing is sent to where it points.
        """
        call = Call(
            policy=self._allowed,
            resolver=self._resolver,
            clock=self._clock,
            deadline_seconds=deadline_seconds,
            most_bytes=self._max_bytes + _BESIDE_BODY,
            proxy=self._proxy,
        )
        token = CURRENT.set(call)
        try:
            return self._exchange(request, call)
        except StoppedError as error:
            reason = error.reason
        except BrokenBodyError as error:
            reason = f"{Phase.ANSWER}: {error}"
        except (RequestException, HTTPError, http.client.HTTPException):
            reason = f"{call.phase}: failed"
        except OSError as error:
            reason = f"{call.phase}: {network_words(error)}"
        finally:
            CURRENT.reset(token)
        return Unknown(reason=reason) if call.began else NotSent(reason=reason)

    def close(self) -> None:
        """Close the idle connections; a later `send` opens new ones."""
        self._adapter.close()

    def _exchange(self, request: Request, call: Call) -> Response:
        answer = self._adapter.send(
            _prepared(request), stream=True, timeout=call.remaining(), proxies={}
        )
        raw = cast("HTTPResponse", answer.raw)
        try:
            response = self._whole(request, raw)
        except BaseException:
            raw.close()
            raise
        raw.release_conn()
        return response

    def _whole(self, request: Request, raw: HTTPResponse) -> Response:
        headers = {name.lower(): raw.headers[name] for name in raw.headers}
        strict = cast("StrictAnswer", raw._original_response)  # noqa: SLF001 - no public name
        body = read_body(
            strict.fp,
            method=request.method,
            status=raw.status,
            headers=headers,
            most_bytes=self._max_bytes,
        )
        strict.close()
        return Response(status=raw.status, headers=MappingProxyType(headers), body=body)


def _prepared(request: Request) -> PreparedRequest:
    """Return the request as `requests` wants it. No Session: nothing is added behind our back."""
    prepared = PreparedRequest()
    ours = {"User-Agent": f"fhirbridge/{__version__}", "Accept-Encoding": "gzip"}
    prepared.prepare(
        method=request.method,
        url=request.url,
        headers={**request.headers, **ours},
        data=request.body,
    )
    return prepared
