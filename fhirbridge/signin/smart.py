"""Fetch a token by SMART Backend Services: find the endpoint, sign an assertion, send it there."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from fhirbridge.clock import Clock
from fhirbridge.egress.exchange import Request, Transport
from fhirbridge.rng import Rng, new_id
from fhirbridge.signin import assertion, discovery, grant
from fhirbridge.signin.grant import Failed, Fetched, Refused
from fhirbridge.signin.keys import Signer
from fhirbridge.signin.methods import SignIn

CALL_SECONDS = 8.0  # two calls end within a lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Smart:
    """Fetches tokens of one destination over its own way."""

    transport: Transport
    clock: Clock
    rng: Rng
    base_url: str
    settings: SignIn
    signer: Callable[[], Signer | None]  # asked at each call: keys change while workers wait

    def fetch(self, known_url: str) -> tuple[Fetched, str]:
        """Do one call, with a new assertion; also return the token endpoint to remember.

        `known_url` is the one that the EHR named before, or "".
        """
        url = self.settings.token_url or known_url or self._discovered()
        if not isinstance(url, str):
            return url, ""
        signer = self.signer()
        if signer is None:
            return Failed(reason="there is no key that signs"), known_url
        request = self._request(url, signer)
        outcome = self.transport.send(request, deadline_seconds=CALL_SECONDS)
        found = grant.read(outcome, asked=self.settings.scopes, now=self.clock.now())
        moved = isinstance(found, Failed) and found.moved
        return found, "" if moved or self.settings.token_url else url

    def _discovered(self) -> str | Failed | Refused:
        question = discovery.question(self.base_url)
        outcome = self.transport.send(question, deadline_seconds=CALL_SECONDS)
        return discovery.token_url(outcome, self.base_url)

    def _request(self, url: str, signer: Signer) -> Request:
        form = {
            "grant_type": "client_credentials",
            "scope": self.settings.scopes,
            "client_assertion_type": assertion.TYPE,
            "client_assertion": assertion.signed(
                signer,
                client=self.settings.client,
                audience=url,
                jti=new_id(self.rng),
                now=self.clock.now(),
            ),
        }
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
            "Cache-Control": "no-store",
        }
        return Request(
            method="POST", url=url, headers=headers, body=urlencode(form).encode("ascii")
        )
