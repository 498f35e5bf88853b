"""What people look at: a record with all that became of it, and how the deliveries stand. Reads only."""
