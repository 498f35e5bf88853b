"""Where a record comes in: steps 1 to 3 in one commit, and again after the mappings were mended."""
