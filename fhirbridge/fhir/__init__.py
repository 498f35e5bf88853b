"""FHIR R4 as data: lossless JSON, hashes, references, validation. No product rule lives here."""
