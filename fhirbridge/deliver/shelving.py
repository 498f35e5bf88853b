"""What is owed to a facade is not sent: it goes on the shelf, in the commit that settles it.

The answer is the one that an EHR would have given, so that all that comes after it is the same.
"""

from dataclasses import dataclass
from http import HTTPStatus

from sqlalchemy import Connection, select

from fhirbridge.clock import Clock
from fhirbridge.deliver import labels
from fhirbridge.deliver.ending import Job
from fhirbridge.egress.exchange import Response
from fhirbridge.facade.shelf import NOT_THERE, Put, Shelf
from fhirbridge.fhir import codec
from fhirbridge.store.tables import record


@dataclass(frozen=True, slots=True)
class Shelving:
    """Puts the resources of one delivery where readers find them."""

    shelf: Shelf
    clock: Clock

    def put(self, tx: Connection, job: Job) -> Response:
        """Put them there in the caller's transaction; answer as to a transaction Bundle."""
        row, sends = job.row, job.sends
        of_record = select(record.c.labels).where(record.c.id == row.record_id)
        numbers = self.shelf.put(
            tx,
            row.destination,
            row.lane,
            [
                Put(
                    identity=send.identity,
                    row=send.resource,
                    base=send.base,
                    body=send.body,
                    written=send.written,
                )
                for send in sends
            ],
            part_2=labels.is_part_2(
                tx, tx.execute(of_record).scalar_one(), [send.resource for send in sends]
            ),
            at=self.clock.now(),
        )
        entries = [
            {
                "response": {
                    "status": "201 Created" if send.base == NOT_THERE else "200 OK",
                    "location": f"{send.reference}/_history/{number}",
                    "etag": f'W/"{number}"',
                }
            }
            for send, number in zip(sends, numbers, strict=True)
        ]
        answer = {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}
        return Response(status=HTTPStatus.OK, headers={}, body=codec.encode(answer))
