"""The small language of the mappings: text to tokens, tree, types, and closures that note reads."""
