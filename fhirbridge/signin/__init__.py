"""How we prove to each EHR who we are: methods, keys, tokens, and what a refusal means."""
