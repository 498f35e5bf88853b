"""A door of its own: a small FHIR R4 server, plainly a sandbox, to stand where an EHR would."""
