"""The only room that knows a database driver: tables, transactions, sealed payloads."""
