"""Cells of text that no spreadsheet reckons out."""

# As they are, and in the wide form that some spreadsheets take for the same.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def safe(cell: str) -> str:
    """Put ' before what would be a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
