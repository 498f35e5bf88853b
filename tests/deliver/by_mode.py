"""A sandbox EHR with some of what it honours switched off, so that a probe chooses each mode."""

from collections.abc import Callable
from dataclasses import replace

from fhirbridge.destinations import modes
from fhirbridge.destinations.modes import Mode
from fhirbridge.egress.exchange import Request, Response
from fhirbridge.fhir import codec
from fhirbridge.translate.mapping_set import Files
from tests.deliver.refusing import NO, Bad, Resource
from tests.factories import World
from tests.fakes import SandboxTransport
from tests.mapping_sets import few_mappings

MODES = (Mode.TRANSACTION, Mode.BATCH, Mode.SINGLE, Mode.ASSIGNED)
CHANGES = ("PUT", "DELETE", "PATCH")
LEFT_OUT = "left out"


class Limited(SandboxTransport):
    """Takes no Bundles but those of `takes`, and `bad` resources neither in them nor alone.

    `by_none`: a create is guarded by If-None-Match: *, and by nothing else. `weak`: an update is
    guarded by nothing.
    """

    takes: tuple[str, ...] = ()
    by_none = False
    weak = False
    only_creates = False  # nothing that is there can be changed or removed
    says = "422"  # of a bad one in a batch
    bad: Bad = staticmethod(lambda _resource: False)

    def _serve(self, request: Request) -> Response:
        if self.only_creates and request.method in CHANGES:
            return Response(status=405, headers={}, body=b"")
        if request.method not in ("PUT", "POST") or request.url.endswith("/_search"):
            return super()._serve(request)
        body = codec.decode(request.body or b"")
        kind = body.get("type") if body["resourceType"] == "Bundle" else ""
        if kind and kind not in self.takes:
            return Response(status=405, headers={}, body=b"")
        if kind == "batch":
            return self._batch(request, body)
        if any(self.bad(one) for one in _resources(body)):
            return Response(status=NO.status, headers={}, body=NO.body)
        return super()._serve(self._guarded(request))

    def _batch(self, request: Request, bundle: Resource) -> Response:
        """Serve the good entries; between them stands what was said of each bad one."""
        fates = [self._fate(one) for one in bundle["entry"]]
        pairs = list(zip(bundle["entry"], fates, strict=True))
        taken = [one for one, fate in pairs if fate in ("", LEFT_OUT)]
        rest = replace(request, body=codec.encode({**bundle, "entry": taken}))
        served = super()._serve(self._guarded(rest))
        answered = codec.decode(served.body)
        said = iter(answered["entry"])
        told = [
            next(said)
            if fate in ("", LEFT_OUT)
            else {"response": {"status": fate, "outcome": codec.decode(NO.body)}}
            for _, fate in pairs
        ]
        kept = [one for one, fate in zip(told, fates, strict=True) if fate != LEFT_OUT]
        return replace(served, body=codec.encode({**answered, "entry": kept}))

    def _fate(self, entry: Resource) -> str:
        """Say what becomes of an entry: "", served; LEFT_OUT, of the answer alone; or a status."""
        resource = entry.get("resource", {})
        return self.says if resource and self.bad(resource) else ""

    def _guarded(self, request: Request) -> Request:
        """Turn If-None-Match: * into what the sandbox honours, and If-Match W/"0" into nothing.

        A weak one turns If-Match of an update into nothing.
        """
        if self.weak and request.headers.get("If-Match") != 'W/"0"':
            left = {k: v for k, v in request.headers.items() if k != "If-Match"}
            return replace(request, headers=left)
        if not self.by_none:
            return request
        headers = {k: v for k, v in request.headers.items() if k != "If-None-Match"}
        if headers.get("If-Match") == 'W/"0"':
            del headers["If-Match"]
        if "If-None-Match" in request.headers:
            headers["If-Match"] = 'W/"0"'
        body = request.body or b""
        body = body.replace(b'"ifMatch":"W/\\"0\\""', b'"ifMatch_":""')
        body = body.replace(b'"ifNoneMatch":"*"', b'"ifMatch":"W/\\"0\\""')
        return replace(request, headers=headers, body=body)


def _resources(body: Resource) -> list[Resource]:
    if body["resourceType"] != "Bundle":
        return [body]
    return [one["resource"] for one in body["entry"] if "resource" in one]


def a_world(
    mode: Mode,
    *,
    by_none: bool = False,
    weak: bool = False,
    mapped: Callable[[], Files] = few_mappings,
) -> World:
    """A bridge and an EHR for which the probe chose this mode; a `weak` one is allowed by name."""
    world = World(mapped=mapped)
    far = world.connect()
    far.behave(assigns_ids=mode in modes.GIVES_IDS)
    limited = Limited(far.model, base_url="http://ehr.invalid/fhir", clock=world.clock)
    limited.takes = {
        Mode.TRANSACTION: ("transaction", "batch"),
        Mode.BATCH: ("batch",),
        Mode.SINGLE: (),
        Mode.ASSIGNED: (),
        Mode.CREATE_ONLY: (),
    }[mode]
    limited.only_creates = mode is Mode.CREATE_ONLY
    limited.by_none = by_none
    limited.weak = weak
    far.transport = limited
    found = world.bridge.probe_destination("ehr", actor="test")
    if weak:
        assert found.mode is Mode.UNPROVEN
        found = world.bridge.allow_weak_guard("ehr", "the vendor's ticket 4711", actor="test")
    assert (found.mode, found.paused, found.guard) == (mode, "", "weak" if weak else "")
    limited.sent.clear()
    return world


def limits_of(world: World) -> Limited:
    transport = world.ehr.transport
    assert isinstance(transport, Limited)
    return transport
