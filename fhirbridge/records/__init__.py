"""STEP 1. What happened in the clinic, in the clinic's words: read strictly, checked, kept by version."""
