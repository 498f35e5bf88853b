"""What makes a folder of evidence provable: places, checkpoint, keys, and the signed manifest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge import __version__
from fhirbridge.audit import checkpoints, places, tree, verifying
from fhirbridge.audit.checkpoints import Checkpoints, Signed
from fhirbridge.audit.log import LEAF_FIELDS
from fhirbridge.overview import folder
from fhirbridge.overview.folder import Folder
from fhirbridge.store.evidence_tables import evidence_place
from fhirbridge.store.tables import evidence

ABOUT_KEYS = "# Believe only keys that you were given in another way than with this folder.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a folder of the whole log holds: SHA-256 of its manifest, rows, the checkpoint."""

    manifest: str
    rows: int
    at: str


def leaf_fields(row: Row[Any]) -> dict[str, Any]:
    """Return what the leaf of a row is made of, and the leaf."""
    fields = {name: getattr(row, name) for name in LEAF_FIELDS}
    return {**fields, "salt": row.salt.hex(), "leaf": row.leaf}


def place(tx: Connection, row_id: str, size: int, node: tree.Node) -> dict[str, Any]:
    """Return where a row is in the tree of `size` rows, and the proof; null where it came later."""
    number = places.place(tx, row_id)
    if number is None or number >= size:
        return {"number": None}
    proof = tree.inclusion(number, size, node)
    return {"number": number, "inclusion": [one.hex() for one in proof]}


def seal(
    out: Folder, tx: Connection, signed: Signed, said: dict[str, Any], signing: Checkpoints
) -> str:
    """Add checkpoint, older ones with their proofs, keys, manifest and signature.

    Return the SHA-256 of the manifest.
    """
    out.write(verifying.CHECKPOINT, signed.note.encode())
    out.lines(verifying.GROWN, _grown(tx, signed.size))
    known = [one for one in checkpoints.keys(tx) if one.since <= signed.at]
    listed = "".join(f"{one.line()}\n" for one in known)
    out.write(verifying.KEYS, (ABOUT_KEYS + listed).encode())
    digest = out.manifest(said)
    out.write(verifying.SIGNATURE, signing.signature(tx, out.read(folder.MANIFEST)).encode())
    return digest


def export(
    tx: Connection, target: Path, signed: Signed, signing: Checkpoints, *, made_at: str
) -> Exported:
    """Write every row up to a checkpoint, without payloads, into a new folder.

    Raises FolderError; then nothing is there.
    """
    with folder.made(target) as out:
        out.lines(verifying.EVIDENCE, _every(tx, signed.size))
        said = {
            "format": verifying.WHOLE,
            "made_at": made_at,
            "software": f"fhirbridge {__version__}",
            "signed": True,
            "counts": {"evidence": signed.size},
        }
        digest = seal(out, tx, signed, said, signing)
    return Exported(manifest=digest, rows=signed.size, at=signed.at)


def _every(tx: Connection, size: int) -> Iterator[dict[str, Any]]:
    chosen = (
        select(evidence_place.c.number, evidence)
        .join(evidence, evidence.c.id == evidence_place.c.id)
        .where(evidence_place.c.number < size)
        .order_by(evidence_place.c.number)
        .execution_options(yield_per=places.ROWS_AT_ONCE)
    )
    for row in tx.execute(chosen):
        yield {"number": row.number, **leaf_fields(row)}


def _grown(tx: Connection, size: int) -> Iterator[dict[str, Any]]:
    """Yield, for each older checkpoint, the proof that its log is how this one begins."""
    node = places.node_of(tx)
    sizes = dict.fromkeys(one.size for one in checkpoints.every(tx) if one.size <= size)
    for size_then in sizes:
        proof = tree.consistency(size_then, size, node)
        yield {"size": size_then, "proof": [one.hex() for one in proof]}
