"""The FHIR-shaped part of a mapping: checked against R4, made into closures that build JSON."""
