"""The readable notes: Jinja templates in a sandbox, filled from the record."""
