"""What the authors of mappings work with: cases, explanations, coverage, comparison, sign-off."""
