"""A resolver whose answers a test writes down."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from fhirbridge.egress.exchange import UnresolvedError


class FakeResolver:
    """Gives one answer a lookup, in order; the last one repeats. No answer: no such name."""

    def __init__(self, *answers: str) -> None:
        """Each answer is addresses with spaces between them."""
        self.asked: list[str] = []
        self._answers = answers

    def resolve(
        self, host: str, *, timeout_seconds: float
    ) -> tuple[IPv4Address | IPv6Address, ...]:
        assert timeout_seconds > 0
        self.asked.append(host)
        if not self._answers:
            message = "no such name"
            raise UnresolvedError(message)
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        return tuple(ip_address(one) for one in answer.split())
