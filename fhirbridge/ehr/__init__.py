"""The far side: what can be asked of one EHR's FHIR server. Keeps no state of its own."""
