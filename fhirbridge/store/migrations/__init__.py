"""How the schema became what it is: one module for each version, done in turn by `upgrade`."""
