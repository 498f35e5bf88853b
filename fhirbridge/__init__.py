"""Ketamine-clinic session records, translated to FHIR R4 and kept in step with an EHR."""

__version__ = "0.1.0"
