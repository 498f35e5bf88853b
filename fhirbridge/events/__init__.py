"""What happened that others want to hear of: append-only, in order, without PHI."""
