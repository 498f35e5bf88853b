"""The parts of a session record, one module each: their fields and nothing else."""
