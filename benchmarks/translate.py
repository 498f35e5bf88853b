"""How long translation takes: in times of orjson, of hand-written Python, and of fpml.

All sides take turns in one run, on the same record, and only ratios are shown. The sessions are
a sample with more rows of vital signs. Beside hand-written Python stand only the mappings that
by_hand.py writes out; before anything is timed, what both make must be equal.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from benchmarks import by_fpml, by_hand
from benchmarks.by_hand import ByHand
from fhirbridge.fhir import codec, validate
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import Site

RUNS = 11
SIZES = (60, 600)
REFERRED_TO = ("condition", "encounter", "organization", "patient", "practitioner")
ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "fhirbridge" / "samples" / "01-iv-series-visit-1.v1.json"
SITE = Site(host="clinic.example.org", tenant="east", key=b"benchmarks only, never a clinic")

Json = dict[str, Any]
Side = Callable[[], object]


def main() -> int:
    """Print a table for each size, and one for a single mapping."""
    files = mapping_set.read(ROOT / "mappings")
    traced = mapping_set.compile_set(files, source_schema())
    plain = mapping_set.compile_set(files, source_schema(), traced=False)
    for size in SIZES:
        record = session(size, plain)
        whole_session(record, plain, traced)
        by_hand_too(record, plain, traced)
    one_mapping(session(SIZES[-1], plain), plain)
    return 0


def session(size: int, made_by: MappingSet) -> Json:
    """Return a record of which the mappings make about `size` resources: more vital signs."""
    sent = codec.decode(SAMPLE.read_bytes())
    rows, fewest = sent["vitals"], count(sent, made_by)
    each = (fewest - count({**sent, "vitals": []}, made_by)) / len(rows)
    more = round((size - fewest) / each)
    sent["vitals"] = rows + [{**rows[n % len(rows)], "id": f"more-{n}"} for n in range(more)]
    return checked(sent)


def count(sent: Json, made_by: MappingSet) -> int:
    return len(engine.translate(checked(sent), mapping_set=made_by, site=SITE).resources)


def checked(sent: Json) -> Json:
    return dict(schema.load(codec.encode(sent)).document)


def whole_session(record: Json, plain: MappingSet, traced: MappingSet) -> None:
    """Compare all mappings with orjson on what they make."""
    made = bodies(record, plain)
    written = [codec.encode(body) for body in made]

    def through_orjson() -> None:
        for raw in written:
            orjson.dumps(orjson.loads(raw))

    sides = engine_sides(record, plain, traced) | {"orjson": through_orjson}
    show(f"{len(made)} resources, all mappings", medians(sides), ("orjson",))


def by_hand_too(record: Json, plain: MappingSet, traced: MappingSet) -> None:
    """Compare some mappings with the same in Python, which makes ids and hashes as they do."""
    plain, traced = only(plain, by_hand.MAPPINGS), only(traced, by_hand.MAPPINGS)
    made = bodies(record, plain)
    assert equal(made, ByHand(plain, SITE, record).translate()), "by_hand.py is not as mappings/"
    sides = engine_sides(record, plain, traced) | {
        "by hand": lambda: hashes(ByHand(plain, SITE, record).translate()),
        "by hand, no hash": lambda: ByHand(plain, SITE, record).translate(),
    }
    label = f"{len(made)} resources, {len(plain.mappings)} mappings"
    show(label, medians(sides), ("by hand", "by hand, no hash"))


def one_mapping(record: Json, plain: MappingSet) -> None:
    """Compare one mapping with fpml, which is given ids, references and units ready.

    The engine makes what is referred to as well, a handful, since it refuses a loose reference.
    """
    own = only(plain, (by_fpml.MAPPING, *REFERRED_TO))
    context = context_of(record, own)

    def through_fpml(*, parse_once: bool) -> list[Json]:
        return [
            by_fpml.translate(row, {**context, "own": made["id"]}, parse_once=parse_once)
            for row, made in zip(record["vitals"], ready, strict=True)
        ]

    ready = [made for made in bodies(record, own) if made["resourceType"] == "Observation"]
    assert equal(ready, through_fpml(parse_once=True)), "by_fpml.py is not as mappings/"
    sides: dict[str, Side] = {
        "fpml": lambda: through_fpml(parse_once=False),
        "fpml, parsed once": lambda: through_fpml(parse_once=True),
        "plain": lambda: engine.translate(record, mapping_set=own, site=SITE),
    }
    show(f"{len(ready)} resources of {by_fpml.MAPPING}", medians(sides), ("plain",))


def context_of(record: Json, own: MappingSet) -> Json:
    hand = ByHand(own, SITE, record)
    return {
        "site": SITE.host,
        "signed": record["signed"],
        "category": hand.coding("observation-category", "vital-signs"),
        "code": hand.coding("loinc", by_hand.SINGLE[by_fpml.MAPPING][1]),
        "patient": hand.patient["reference"],
        "encounter": hand.encounter["reference"] if hand.encounter else "",
        "performer": hand.clinic["reference"],
        "unit": hand.quantity({"value": 1, "unit": "/min"}),
    }


def engine_sides(record: Json, plain: MappingSet, traced: MappingSet) -> dict[str, Side]:
    def validated() -> None:
        for body in bodies(record, traced):
            validate.problems(body)

    return {
        "plain": lambda: engine.translate(record, mapping_set=plain, site=SITE),
        "traced": lambda: engine.translate(record, mapping_set=traced, site=SITE),
        "traced and R4B": validated,
    }


def bodies(record: Json, made_by: MappingSet) -> list[Json]:
    found = engine.translate(record, mapping_set=made_by, site=SITE)
    return [made.body for made in found.resources]


def hashes(made: list[Json]) -> list[str]:
    return [codec.content_hash(one) for one in made]


def only(whole: MappingSet, names: tuple[str, ...]) -> MappingSet:
    return replace(whole, mappings=tuple(one for one in whole.mappings if one.name in names))


def equal(ours: list[Json], theirs: list[Json]) -> bool:
    return sorted(map(codec.canonical, ours)) == sorted(map(codec.canonical, theirs))


def medians(sides: Mapping[str, Side]) -> dict[str, tuple[float, float]]:
    """Return the median of each side, and half the distance between its quartiles as a share."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for run in range(RUNS + 1):
        for name, side in sides.items():
            begin = time.process_time()  # of the processor: other programs do not count
            side()
            if run:  # the first fills caches
                times[name].append(time.process_time() - begin)
    found = {}
    for name, column in times.items():
        low, middle, high = statistics.quantiles(column, n=4)
        found[name] = (middle, (high - low) / 2 / middle)
    return found


def show(title: str, found: Mapping[str, tuple[float, float]], against: tuple[str, ...]) -> None:
    print(f"\n{title}; times of:".ljust(50) + "".join(name.rjust(20) for name in against))
    for name, (middle, spread) in found.items():
        if name not in against:
            ratios = "".join(f"{middle / found[other][0]:20.2f}" for other in against)
            print(f"  {name} (± {spread:.0%})".ljust(49) + ratios)


if __name__ == "__main__":
    sys.exit(main())
