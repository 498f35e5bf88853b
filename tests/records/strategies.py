"""Hypothesis strategies for whole records, built from the generator that users have."""

from typing import Any

from hypothesis import strategies as st

from fhirbridge.records import generator


def records(*kinds: str) -> st.SearchStrategy[dict[str, Any]]:
    """Make records of these kinds, or of every kind."""
    chosen = st.sampled_from(kinds or tuple(generator.KINDS))
    return st.builds(generator.generate, chosen, st.randoms(use_true_random=False))
