"""STEP 1. What happened in the clinic, in its words: read strictly, checked, kept by version."""
