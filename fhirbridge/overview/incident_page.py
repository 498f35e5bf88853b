"""The page that a person opens first in a folder of evidence: plain text. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

FILES = """\
records.ndjson     each version of each record as it was taken in, with what was found in it
resources.ndjson   each FHIR resource that was made of them, with its mapping and mapping set
deliveries.ndjson  what was owed to which EHR, how it stands, and when the EHR answered what
items.ndjson       which resource version each delivery carried, and what became of it
sent.ndjson        the same for each resource of this chart, with when it was sent and answered
ledger.ndjson      what each EHR is known to hold, under which version, and when it was read back
drift.ndjson       what was found to differ in an EHR
evidence.ndjson    the evidence rows, each with the leaf that it is in the evidence log
payloads/          the exact bytes: ID.sent, ID.answered, ID.words (a person's reason)
manifest.json      SHA-256 and size of each file, and the counts

Left out, since it may show other patients too: what an EHR answered when it was asked who the
patient is. Its row in evidence.ndjson says withheld, and keeps its SHA-256.

The files .ndjson hold one JSON object a line. A file is whole if its SHA-256 is that of the
manifest: sha256sum FILE."""


def page(said: Mapping[str, Any], listed: Mapping[str, Any]) -> str:
    """Write it from the manifest's own words and the listing. Opaque ids, types, times, codes."""
    return "\n".join(_lines(said, listed)) + "\n"


def _lines(said: Mapping[str, Any], listed: Mapping[str, Any]) -> Iterator[str]:
    yield "What went where of one patient's chart"
    yield "PATIENT DATA: the files beside this page hold it. Keep them as you keep a chart."
    yield ""
    yield f"made at    {said['made_at']} by {said['software']}"
    yield f"patient    {said['patient']}"
    yield f"in EHRs    {', '.join(listed['subjects']) or 'as nobody yet'}"
    yield "signed     yes: fhirbridge verify, with the public key, says whether it is unchanged"
    yield ""
    yield "Counts"
    for name, count in said["counts"].items():
        yield f"  {name}: {_counted(count)}"
    yield ""
    yield "Records"
    for one in listed["records"]:
        taken_back = f", taken back {one['retracted']}" if one["retracted"] else ""
        yield f"  {one['id']} version {one['version']}, {one['state']}"
        yield f"    received {one['received_at']}{taken_back}"
    yield ""
    yield "What each EHR is known to hold"
    for one in listed["there"]:
        read = one["read_back_at"] or "not read back since"
        version = f"version {one['ehr_version']}, {one['says']}"
        yield f"  {one['destination']}: {one['resource']} {version}"
        yield f"    sent {one['delivered_at']}; last read {read}; {one['way_back']}"
    yield ""
    yield "What is not through"
    for one in listed["deliveries"]:
        if one["state"] not in ("delivered", "superseded"):
            yield f"  {one['destination']}: {one['id']} {one['state']} {one['reason']}"
    yield ""
    yield "Files"
    yield FILES


def _counted(count: Any) -> str:
    if isinstance(count, Mapping):
        return ", ".join(f"{number} {name}" for name, number in count.items()) or "0"
    return str(count)
