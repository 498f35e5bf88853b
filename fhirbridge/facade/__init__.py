"""What readers may pull from us as FHIR R4: kept as it was owed to them, found, shown in pages."""
