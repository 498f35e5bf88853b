"""What fhirbridge relies on from an EHR's FHIR server, whichever server it is.

A subclass gives the fixture `base_url`. Real HAPI is the measure: where another server differs from
it, the other server is mended. Tests share one server and never clean up, so every id is new.
"""

from tests.contracts.ehr_reading import ReadContract, SearchContract
from tests.contracts.ehr_running import BatchContract, RefusalContract, TransactionContract
from tests.contracts.ehr_writing import (
    ConditionalContract,
    DeleteContract,
    GuardedCreateContract,
    ReferenceContract,
    UpdateContract,
)


class EhrContract(
    GuardedCreateContract,
    UpdateContract,
    DeleteContract,
    ReadContract,
    ReferenceContract,
    SearchContract,
    ConditionalContract,
    RefusalContract,
    TransactionContract,
    BatchContract,
):
    """The whole contract."""
