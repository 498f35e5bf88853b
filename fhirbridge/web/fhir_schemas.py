"""What `/fhir` answers, for the API's document; `/fhir/metadata` says the rest."""

from marshmallow import INCLUDE, Schema, fields, validate


class FhirResource(Schema):
    """Any R4 resource."""

    class Meta:
        unknown = INCLUDE

    resourceType = fields.String(required=True)  # noqa: N815


class FhirBundle(FhirResource):
    """One page: a searchset or a history; `link` leads to the next one."""

    resourceType = fields.String(required=True, validate=validate.Equal("Bundle"))  # noqa: N815


class FhirOutcome(FhirResource):
    """What went wrong, in `issue`."""

    resourceType = fields.String(  # noqa: N815
        required=True, validate=validate.Equal("OperationOutcome")
    )


class FhirManifest(Schema):
    """Which files a Bulk Data export has, and as of when."""

    transactionTime = fields.String(required=True)  # noqa: N815
    request = fields.String(required=True)
    requiresAccessToken = fields.Boolean(required=True)  # noqa: N815
    output = fields.List(fields.Dict(), required=True)
    deleted = fields.List(fields.Dict(), required=True)
    error = fields.List(fields.Dict(), required=True)
