"""Who: provider numbers that fail their check digit, births after the visit."""

from fhirbridge.records.draft import Draft, Path

# CMS: the check digit of a provider number is that of a card number with this prefix.
ISSUER = "80840"
NPI_DIGITS = 10


def check(draft: Draft) -> None:
    """Hold provider numbers and dates of birth that cannot be true."""
    holders: list[tuple[Path, dict[str, object]]] = [
        (("clinic",), draft.part("clinic")),
        *draft.rows("staff"),
    ]
    for path, holder in holders:
        if "npi" in holder and not is_npi(str(holder["npi"])):
            draft.hold(
                (*path, "npi"), "R215", "npi is not a provider number: its check digit does not fit"
            )
    born, came = draft.part("patient").get("birth_date"), draft.part("visit").get("start")
    if isinstance(born, str) and isinstance(came, str) and born > came[: len(born)]:
        draft.hold(("patient", "birth_date"), "R216", "birth_date is after the visit")


def is_npi(text: str) -> bool:
    """Say whether this is a ten-digit provider number with its check digit."""
    if len(text) != NPI_DIGITS or not (text.isascii() and text.isdigit()):
        return False
    digits = [int(digit) for digit in reversed(ISSUER + text)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[0::2]) + sum(doubled)) % 10 == 0
