"""What a sync would do, written down before anything is sent, and then done as written."""
