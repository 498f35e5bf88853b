"""The EHRs that receive: address, delivery mode as probed, consent policy, limits."""
