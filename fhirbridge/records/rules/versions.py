"""Versions: what a record amends came before it."""

from fhirbridge.records.draft import Draft


def check(draft: Draft) -> None:
    """Refuse a record that amends itself or a later one."""
    amends, version = draft.document.get("amends"), draft.document.get("version")
    if isinstance(amends, int) and isinstance(version, int) and amends >= version:
        draft.refuse(("amends",), "R118", "amends must be an earlier version than this one")
