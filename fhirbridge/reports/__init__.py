"""The reports that a clinic owes: rows in, tables of typed columns out, in three formats."""
