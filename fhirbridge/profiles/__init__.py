"""How fhirbridge meets a kind of EHR: named settings of a destination, in files."""
