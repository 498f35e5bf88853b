"""What proves to others what was sent: resources of a destination, in a signed package."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fhirbridge import __version__
from fhirbridge.audit import verifying
from fhirbridge.audit.checkpoints import Signed
from fhirbridge.audit.log import Action, Entry
from fhirbridge.destinations import registry
from fhirbridge.exports import proofs, sbom, zipped
from fhirbridge.exports.holdings import Holdings
from fhirbridge.exports.question import Question
from fhirbridge.exports.writing import Writing
from fhirbridge.overview import folder, proof
from fhirbridge.overview.folder import Folder
from fhirbridge.records import history
from fhirbridge.reporting import Reporting
from fhirbridge.rng import new_id
from fhirbridge.store import copying

SBOM = "sbom.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What an export holds: SHA-256 of its manifest, how much, the checkpoint it was made at."""

    manifest: str
    resources: int
    withheld: dict[str, int]  # by reason: not exported, since it may not be read now
    erased: int  # resources whose key was destroyed
    dangling: int  # references to what is not in the package
    checkpoint: int  # rows of the log; the same export can be made again at it


class Exporting(Reporting):
    """What may be asked for about exports."""

    def export(
        self,
        question: Question,
        target: Path,
        *,
        actor: str,
        at_checkpoint: int | None = None,
        zip_wanted: bool = False,
    ) -> Package:
        """Write what a destination holds of ours, as far as it may be read, into a new folder.

        It is noted before anything is read and, with the SHA-256 of all that is handed over, before
        the folder is there. `at_checkpoint`: byte for byte as it was made at that checkpoint.
        Raises DestinationError, ExportError, FolderError or SigningKeyError; then nothing is there.
        """
        with self._store.begin() as tx:
            registry.get(tx, question.destination)
            export = new_id(self._parts.rng)
            asked = question.said()
            own = [self._note_export(tx, question, export, actor, outcome="begun", asked=asked)]
        with folder.made(target) as out:
            written = self._write(question, out)
            said = {"content": verifying.content(out.files), **_counted(written)}
            with self._store.begin() as tx:
                own.append(
                    self._note_export(tx, question, export, actor, outcome=proofs.SEALED, **said)
                )
                signed = self._checkpoints.make(tx, self.clock.now())
            with self._store.read() as tx:
                if at_checkpoint is not None:
                    signed = proofs.checkpoint_of(tx, at_checkpoint)
                    known = (question.digest, str(said["content"]))
                    own = proofs.sealed_before(tx, signed, *known)
                rows = proofs.rows(
                    tx,
                    signed,
                    destination=question.destination,
                    records=written.records,
                    deliveries=written.deliveries,
                    own=own,
                )
                out.lines(verifying.EVIDENCE, rows)
                manifest = _manifest(question, signed, written, said)
                digest = proof.seal(out, tx, signed, manifest, self._checkpoints)
        if zip_wanted:
            zipped.beside(target)
        return Package(
            manifest=digest,
            resources=written.counts.total(),
            withheld=dict(sorted(written.withheld.items())),
            erased=written.erased,
            dangling=written.dangling,
            checkpoint=signed.size,
        )

    def _write(self, question: Question, out: Folder) -> Writing:
        """Write all that one snapshot of the database holds of it."""
        site = self._parts.site
        with copying.snapshot(self._store) as tx:
            holdings = Holdings(
                tx,
                vault=self._parts.vault,
                contents=self._contents,
                destination=registry.get(tx, question.destination),
                question=question,
            )
            written = Writing(out, holdings, question, f"https://{site.host}/{site.tenant}/fhir")
            written.write()
        out.write(SBOM, sbom.document())
        return written

    def in_series(self, question: Question, record_id: str) -> Question:
        """Narrow a question to the sessions of one treatment series: that of a record version.

        Raises UnknownChartError.
        """
        with self._store.read() as tx:
            chart = history.whose(tx, "", [record_id])
            whole = replace(chart, sessions=frozenset())
            series = self._series(tx, record_id)
            sessions = frozenset(
                row.session_key
                for row in history.chart(tx, whole)
                if row.id == record_id or (series and self._series(tx, row.id) == series)
            )
        return replace(question, patient=chart.patient, sessions=question.sessions | sessions)

    def _series(self, tx: Any, record_id: str) -> str:
        document = history.content(tx, self._parts.vault, record_id)["document"]
        return str(document.get("visit", {}).get("series", ""))

    def _note_export(
        self, tx: Any, question: Question, export: str, actor: str, *, outcome: str, **more: Any
    ) -> str:
        entry = Entry(
            actor=actor,
            action=Action.RESOURCES_EXPORTED,
            outcome=outcome,
            destination=question.destination,
            detail={"export": export, "question": question.digest, **more},
        )
        return self._audit.append(tx, entry)


def _counted(written: Writing) -> dict[str, Any]:
    return {
        "resources": written.counts.total(),
        "withheld": dict(sorted(written.withheld.items())),
        "erased": written.erased,
        "dangling": written.dangling,
    }


def _manifest(
    question: Question, signed: Signed, written: Writing, said: dict[str, Any]
) -> dict[str, Any]:
    """Return what the manifest says: nothing that another run at this checkpoint would not."""
    return {
        "format": verifying.RESOURCES,
        "made_at": signed.at,
        "software": f"fhirbridge {__version__}",
        "signed": True,
        "question": question.said(),
        "newest": written.newest,
        "mapping_sets": sorted(written.sets),
        "types": dict(sorted(written.counts.items())),
        "counts": {
            "charts": written.charts,
            "records": len(written.records),
            "deliveries": len(written.deliveries),
            **said,
        },
    }
