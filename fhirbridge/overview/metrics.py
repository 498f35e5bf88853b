"""How things stand, in the words of Prometheus. Opaque names and counts only.

Read from the database at each look, so that whatever process did it, or was restarted, is counted.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from fhirbridge import __version__
from fhirbridge.alerts import book
from fhirbridge.destinations import registry
from fhirbridge.outbox.states import State
from fhirbridge.overview import status
from fhirbridge.webhooks import desk, endpoints

QUANTILES = ("p50", "p95", "p99")


def text(tx: Connection, *, now: datetime) -> bytes:
    """Return the metrics in Prometheus' text format, version 0.0.4."""
    found = CollectorRegistry(auto_describe=False)
    found.register(_Read(_all(tx, now)))
    return generate_latest(found)


class _Read(Collector):
    """What was read once, as Prometheus' library wants to be given it."""

    def __init__(self, metrics: Iterator[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> list[Metric]:
        return self._metrics


def _all(tx: Connection, now: datetime) -> Iterator[Metric]:
    yield _gauge("build_info", "The version that runs.", ["version"], [([__version__], 1)])
    counted = status.records(tx)
    for name, words, value in (
        ("records", "Sessions of which a current version is stored.", counted.records),
        ("held_elements", "Elements of them that wait for a person.", counted.held_elements),
        ("quarantined", "Refused records that are kept for a while.", counted.quarantined),
    ):
        yield _gauge(name, words, [], [([], value)])
    yield from _of_destinations([status.of_destination(tx, one, now) for one in registry.every(tx)])
    yield from _of_webhooks([desk.standing(tx, one) for one in endpoints.every(tx)])
    lasting = [([one["kind"], one["destination"]], one["count"]) for one in book.lasting(tx)]
    words = "How many an alert counted when it began, while it lasts."
    yield _gauge("alert", words, ["kind", "destination"], _added_up(lasting))


def _of_destinations(found: Sequence[dict[str, Any]]) -> Iterator[Metric]:
    own = ["destination"]
    yield _gauge(
        "deliveries",
        "Deliveries by state; delivered and superseded only grow.",
        [*own, "state"],
        [([d["name"], s], d["deliveries"].get(s, 0)) for d in found for s in State],
    )
    yield _gauge(
        "resources",
        "Resources that the EHR holds of ours.",
        own,
        [([d["name"]], d["resources"]) for d in found],
    )
    yield _gauge(
        "not_as_itself",
        "Resources that the EHR has not, or not as they are now, by what became of them.",
        [*own, "outcome"],
        [([d["name"], name], n) for d in found for name, n in d["not_as_itself"].items()],
    )
    yield _gauge(
        "destination_up",
        "1 where requests go; 0 where it is paused or left alone for a while.",
        own,
        [([d["name"]], int(not d["paused"] and not d["waits_until"])) for d in found],
    )
    yield _gauge(
        "waiting_seconds",
        "Since the oldest open live delivery was owed.",
        own,
        [([d["name"]], d["lag"]["waiting"]) for d in found],
    )
    yield _gauge(
        "lag_seconds",
        "From our commit to the EHR's answer, of the live deliveries of the last hour.",
        [*own, "quantile"],
        [([d["name"], f"0.{q[1:]}"], d["lag"][q]) for d in found for q in QUANTILES],
    )


def _of_webhooks(found: Sequence[dict[str, Any]]) -> Iterator[Metric]:
    yield _gauge(
        "webhook_messages",
        "Messages of the last thirty days by state.",
        ["endpoint", "state"],
        [([one["name"], s], n) for one in found for s, n in one["messages"].items()],
    )
    yield _gauge(
        "webhook_endpoint_up",
        "1 where messages are taken; 0 where it is disabled, or its last one was not taken.",
        ["endpoint"],
        [([d["name"]], int(not d["disabled"] and not d["failing_since"])) for d in found],
    )


def _gauge(
    name: str, words: str, labels: Sequence[str], values: Sequence[tuple[Sequence[str], float]]
) -> Metric:
    made = GaugeMetricFamily(f"fhirbridge_{name}", words, labels=labels)
    for of, value in values:
        made.add_metric(of, value)
    return made


def _added_up(values: Sequence[tuple[list[str], int]]) -> list[tuple[list[str], float]]:
    """Add up what has the same labels: one name and labels may stand only once."""
    total: dict[tuple[str, ...], float] = {}
    for labels, value in values:
        total[tuple(labels)] = total.get(tuple(labels), 0) + value
    return [(list(labels), value) for labels, value in total.items()]
