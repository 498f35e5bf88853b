"""What people look at: a record and what became of it, how deliveries stand. Reads only."""
