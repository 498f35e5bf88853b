"""Send spans to a collector, as OTLP over HTTP, by the one way out like everything else.

OpenTelemetry's own exporter would open connections of its own, follow redirects and heed proxies
of the environment; so its model and its encoding are used, and our transport.
"""

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from fhirbridge import __version__, log
from fhirbridge.egress.exchange import Request, Response, Transport
from fhirbridge.tracing import Span

DEADLINE_SECONDS = 10.0
MOST_WAITING = 2048  # more are dropped: nobody waits for a collector
MOST_AT_ONCE = 512
EVERY_MS = 5000
OK = range(200, 300)


class Collector:
    """A sink for spans: kept for some seconds, sent by a thread of its own, dropped if too many."""

    def __init__(self, url: str, transport: Transport) -> None:
        """Send to `url`, such as http://127.0.0.1:4318/v1/traces."""
        about = {"service.name": "fhirbridge", "service.version": __version__}
        self._provider = TracerProvider(resource=Resource(about), sampler=ALWAYS_ON)
        processor = BatchSpanProcessor(
            _Exporter(url, transport),
            max_queue_size=MOST_WAITING,
            schedule_delay_millis=EVERY_MS,
            max_export_batch_size=MOST_AT_ONCE,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("fhirbridge", __version__)

    def take(self, span: Span) -> None:
        """Keep a span and all that is within it until the next sending."""
        root = SpanContext(
            trace_id=span.trace_id,
            span_id=(span.trace_id & (2**64 - 1)) or 1,
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        )
        self._tell(span, NonRecordingSpan(root))

    def _tell(self, span: Span, parent: trace.Span) -> None:
        told = self._tracer.start_span(
            span.name,
            context=trace.set_span_in_context(parent),
            attributes=span.attributes,
            start_time=span.start,
        )
        for one in span.within:
            self._tell(one, told)
        told.end(end_time=span.end)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


class _Exporter(SpanExporter):
    def __init__(self, url: str, transport: Transport) -> None:
        self._url = url
        self._transport = transport

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        body = encode_spans(spans).SerializeToString()
        request = Request(
            method="POST",
            url=self._url,
            headers={"Content-Type": "application/x-protobuf"},
            body=body,
        )
        outcome = self._transport.send(request, deadline_seconds=DEADLINE_SECONDS)
        if isinstance(outcome, Response) and outcome.status in OK:
            return SpanExportResult.SUCCESS
        log.get().warning("traces.lost", count=len(spans))
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Nothing is kept here."""
