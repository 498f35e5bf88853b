"""What is asked of the ledger's line for one resource, whoever has it: the ledger or a forecast."""

from typing import Any, Protocol


class Line(Protocol):
    """One line. Of Any: a row of the database has it as well."""

    @property
    def resource(self) -> Any: ...
    @property
    def digest(self) -> Any: ...
    @property
    def sequence(self) -> Any: ...
    @property
    def ehr_version(self) -> Any: ...
    @property
    def decided(self) -> Any: ...
