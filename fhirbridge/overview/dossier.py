"""The evidence of one patient's chart as a folder, for a person and for a machine. Holds PHI.

It holds nobody else's: what an EHR answered when it was asked who the patient is shows everybody
who was found, so of that there are the row and its digest only.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from fhirbridge import __version__
from fhirbridge.audit import places
from fhirbridge.audit.checkpoints import Checkpoints, Signed
from fhirbridge.audit.log import LEAF_FIELDS, SALT_BYTES, Action, EvidenceLog, leaf_hash
from fhirbridge.deliver.prepare import Step
from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import Contents
from fhirbridge.overview import folder, incident, proof
from fhirbridge.overview.folder import Folder
from fhirbridge.overview.incident_page import page
from fhirbridge.records import history
from fhirbridge.records.history import Chart
from fhirbridge.store.sealed import ShreddedError, TamperedError, Vault
from fhirbridge.store.tables import delivery_item, evidence, ledger, resource

FORMAT = "fhirbridge/incident/v1"
ENDINGS = {
    Action.DELIVERY_STARTED: "sent",
    Action.DELIVERY_ANSWERED: "answered",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What a folder holds: SHA-256 of its manifest, how many files beside it, what is unsound."""

    manifest: str
    files: int
    evidence: int
    erased: int  # payloads whose key was destroyed
    unsound: int  # evidence rows that are not what was written


class Dossier:
    """Opens what is kept of a chart, in one snapshot."""

    def __init__(
        self,
        tx: Connection,
        chart: Chart,
        *,
        vault: Vault,
        contents: Contents,
        audit: EvidenceLog,
        signed: Signed,
        signing: Checkpoints,
    ) -> None:
        self._tx = tx
        self._signed, self._signing = signed, signing
        self._node = cache(places.node_of(tx))  # its rows lie beside each other
        self._vault = vault
        self._contents = contents
        self._audit = audit
        self._chart = chart
        self._records = history.chart(tx, chart)
        self._ids = [row.id for row in self._records]
        self._deliveries = [row.id for row in incident.deliveries_of(tx, self._ids)]
        self._evidence = self._erased = self._unsound = 0

    def pack(self, target: Path, *, made_at: str) -> Packed:
        """Write all of it into a new folder. Raises FolderError; then nothing is there."""
        listed = incident.listing(self._tx, self._chart)
        with folder.made(target) as out:
            out.lines("records.ndjson", self._versions())
            out.lines("resources.ndjson", self._resources())
            out.lines("deliveries.ndjson", listed["deliveries"])
            out.lines("items.ndjson", self._items())
            out.lines("sent.ndjson", listed["sent"])
            out.lines("ledger.ndjson", self._ledger())
            out.lines("drift.ndjson", listed["drift"])
            out.lines("evidence.ndjson", self._proof(out))
            said = self._said(listed, made_at)
            out.write("index.txt", page(said, listed).encode())
            files = len(out.files)
            digest = proof.seal(out, self._tx, self._signed, said, self._signing)
        return Packed(
            manifest=digest,
            files=files,
            evidence=self._evidence,
            erased=self._erased,
            unsound=self._unsound,
        )

    def _said(self, listed: dict[str, Any], made_at: str) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "made_at": made_at,
            "software": f"fhirbridge {__version__}",
            "patient": self._chart.patient,
            "sessions": sorted({row.session_key for row in self._records}),
            "mapping_sets": sorted({row.set_digest for row in self._records}),
            "signed": True,
            "counts": {
                **listed["counts"],
                "records": len(self._ids),
                "deliveries": len(self._deliveries),
                "evidence": self._evidence,
                "erased_payloads": self._erased,
                "unsound_evidence": self._unsound,
            },
        }

    def _versions(self) -> Iterator[dict[str, Any]]:
        plain = (*incident.RECORD, *incident.RECORD_TOO, "subject", "digest", "labels")
        for row in self._records:
            held = {name: getattr(row, name) for name in plain}
            try:
                yield {**held, **history.content(self._tx, self._vault, row.id)}
            except ShreddedError:
                yield {**held, "erased": True}

    def _resources(self) -> Iterator[dict[str, Any]]:
        sealed = ("sealed", "sealed_why", "row", "lane")
        shown = [column for column in resource.c if column.name not in sealed]
        chosen = select(*shown).where(resource.c.record_id.in_(self._ids))
        for row in self._tx.execute(chosen.order_by(resource.c.sequence)).mappings():
            try:
                yield {**row, "body": self._contents.body(self._tx, row["id"])}
            except ShreddedError:
                yield {**row, "erased": True}

    def _items(self) -> Iterator[dict[str, Any]]:
        chosen = select(delivery_item).where(delivery_item.c.delivery_id.in_(self._deliveries))
        order = (delivery_item.c.delivery_id, delivery_item.c.position)
        yield from map(dict, self._tx.execute(chosen.order_by(*order)).mappings())

    def _ledger(self) -> Iterator[dict[str, Any]]:
        made = (
            select(resource.c.id)
            .where(
                resource.c.type == ledger.c.type,
                resource.c.resource_id == ledger.c.resource_id,
                resource.c.record_id.in_(self._ids),
            )
            .exists()
        )
        order = (ledger.c.destination, ledger.c.type, ledger.c.resource_id)
        yield from map(
            dict, self._tx.execute(select(ledger).where(made).order_by(*order)).mappings()
        )

    def _proof(self, out: Folder) -> Iterator[dict[str, Any]]:
        """Yield each evidence row as its leaf is made of it; write what it keeps beside it."""
        chosen = select(evidence).where(
            or_(
                evidence.c.record_id.in_(self._ids),
                evidence.c.delivery_id.in_(self._deliveries),
                evidence.c.detail.contains(self._chart.patient, autoescape=True),
            )
        )
        for row in self._tx.execute(chosen.order_by(evidence.c.at, evidence.c.id)):
            self._evidence += 1
            fields = proof.leaf_fields(row)
            is_sound = leaf_hash(row.salt, {name: fields[name] for name in LEAF_FIELDS}) == row.leaf
            kept = self._payload(row, out) if row.payload is not None else {}
            is_sound = is_sound and kept.pop("sound", True)
            self._unsound += not is_sound
            yield {
                **fields,
                **proof.place(self._tx, row.id, self._signed.size, self._node),
                "sound": is_sound,
                **kept,
            }

    def _payload(self, row: Row[Any], out: Folder) -> dict[str, Any]:
        try:
            salted = self._audit.salted(self._tx, row.id)
        except ShreddedError:
            self._erased += 1
            return {"erased": True}
        except TamperedError:
            return {"sound": False}
        is_sound = hashlib.sha256(salted).hexdigest() == row.payload_digest
        if codec.decode(row.detail.encode()).get("step") == Step.WHO:
            return {"withheld": True, "sound": is_sound}
        name = f"payloads/{row.id}.{ENDINGS.get(row.action, 'words')}"
        out.write(name, salted[SALT_BYTES:])
        return {
            "payload": name,
            "payload_salt": salted[:SALT_BYTES].hex(),
            "sound": is_sound,
        }
