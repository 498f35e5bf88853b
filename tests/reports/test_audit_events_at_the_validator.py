"""R56: what HL7's own validator says of AuditEvents; its R4 has the codes that are used."""

import pytest

from fhirbridge.audit.log import Action
from fhirbridge.reports.audit_events import CHANGED, KINDS
from tests.hapi.hl7_validator import Hl7Validator
from tests.reports.test_audit_events import event

pytestmark = pytest.mark.hapi

OF_EACH = {KINDS.get(action, CHANGED): action for action in Action}


def test_r56_hl7s_validator_finds_nothing_wrong_with_any_kind(
    hl7_validator: Hl7Validator,
) -> None:
    found = {action: hl7_validator.errors(event(action)) for action in OF_EACH.values()}

    assert {action: errors for action, errors in found.items() if errors} == {}
    assert len(found) == len(OF_EACH) > 10
