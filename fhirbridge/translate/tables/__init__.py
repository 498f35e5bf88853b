"""The tables that a mapping may name: codes, units, ConceptMaps."""
