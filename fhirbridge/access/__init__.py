"""Who may knock: tokens with a role, kept as hashes."""
