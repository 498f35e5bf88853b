"""Traces: one for each record, from intake to the EHR's answer, with nothing of a patient."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent

from fhirbridge import opening, tracing
from fhirbridge.egress.exchange import NotSent, Request, Response
from fhirbridge.egress.traces import Collector
from fhirbridge.errors import BridgeError
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings
from tests.web.service import settings_below

URL = "http://127.0.0.1:4318/v1/traces"


class Collected:
    """A collector that takes all, or cannot be reached."""

    def __init__(self, *, down: bool = False) -> None:
        self.sent: list[bytes] = []
        self.down = down

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent:
        assert (request.url, deadline_seconds) == (URL, 10)
        if self.down:
            return NotSent(reason="connect: refused")
        self.sent.append(request.body or b"")
        return Response(status=200, headers={}, body=b"")

    def spans(self) -> list[Sent]:
        found = map(ExportTraceServiceRequest.FromString, self.sent)
        return [
            span
            for one in found
            for resource in one.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


def collector_of(collected: Collected) -> Collector:
    return Collector(URL, collected)


@pytest.fixture
def collected() -> Iterator[Collected]:
    made = Collected()
    tracing.begin(collector_of(made))
    yield made
    tracing.end()


def told(span: Sent) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def test_a_record_is_one_trace_from_intake_to_the_ehrs_answer(collected: Collected) -> None:
    world = World(mapped=few_mappings)
    world.connect()

    receipt = world.take(a_short_visit())
    tracing.end()

    spans = collected.spans()
    assert {one.name for one in spans} == {"intake", "translate", "deliver", "answer"}
    assert len({one.trace_id for one in spans}) == 1
    assert {told(one)["record"] for one in spans if one.name != "translate"} == {receipt.id}
    (intake,) = [one for one in spans if one.name == "intake"]
    (within,) = [one for one in spans if one.name == "translate"]
    assert within.parent_span_id == intake.span_id
    assert all(one.start_time_unix_nano <= one.end_time_unix_nano for one in spans)
    assert {told(one)["outcome"] for one in spans if one.name == "answer"} == {"ok"}


def test_two_records_are_two_traces(collected: Collected) -> None:
    world = World(mapped=few_mappings)
    for number in (1, 2):
        world.accept(a_short_visit(number))
    tracing.end()

    assert len({one.trace_id for one in collected.spans()}) == 2


def test_r40_s13_an_attribute_that_is_not_on_the_list_and_the_text_of_a_failure_are_dropped(
    collected: Collected,
) -> None:
    def fails() -> None:
        with tracing.span("x", patient="Alvarez", record="r") as step:
            step.set(name_of="Alvarez")
            raise ValueError("Alvarez")

    with pytest.raises(ValueError, match="Alvarez"):
        fails()
    tracing.end()

    (span,) = collected.spans()
    assert told(span) == {"record": "r", "kind": "ValueError"}
    assert b"Alvarez" not in b"".join(collected.sent)


def test_a_refusal_of_ours_is_named_by_its_code(collected: Collected) -> None:
    with pytest.raises(BridgeError), tracing.span("x"):
        raise BridgeError("text")
    tracing.end()

    (span,) = collected.spans()
    assert told(span) == {"code": "E000", "kind": "BridgeError"}


def test_a_collector_that_is_down_stops_nobody() -> None:
    tracing.begin(collector_of(Collected(down=True)))
    world = World(mapped=few_mappings)
    world.connect()

    world.take(a_short_visit())
    tracing.end()

    assert set(world.states()) == {"delivered"}


def test_off_is_the_default_and_loads_nothing() -> None:
    code = "import sys, fhirbridge.opening; print([n for n in sys.modules if 'telemetry' in n])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_traces_without_the_extra_are_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fhirbridge.egress.traces", None)
    chosen = replace(settings_below(tmp_path / "home"), traces=URL)

    with pytest.raises(opening.TracesError) as refused:
        opening.begin_traces(chosen)

    assert "fhirbridge[traces]" in refused.value.hint
