import pytest

from fhirbridge.translate.expressions.tokenizer import MAX_LENGTH, ExpressionError, Kind, tokenize


def test_an_expression_is_split_in_tokens_with_their_offsets() -> None:
    tokens = tokenize("a.b != 12.50")

    assert [(token.kind, token.text, token.at) for token in tokens] == [
        (Kind.NAME, "a", 0),
        (Kind.SIGN, ".", 1),
        (Kind.NAME, "b", 2),
        (Kind.SIGN, "!=", 4),
        (Kind.NUMBER, "12.50", 7),
        (Kind.END, "", 12),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'plain'", "plain"),
        (r"'it\'s'", "it's"),
        (r"'a\nb'", "a\nb"),
        (r"'\u00e9'", "é"),
        (r"'back\\slash'", "back\\slash"),
        ("''", ""),
    ],
)
def test_a_text_means_what_its_escapes_say(written: str, meant: str) -> None:
    assert tokenize(written)[0].text == meant


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("a ? b", 2, "'?' means nothing here"),
        ("a = 'open", 4, "a text has no closing quote"),
        ('a = "b"', 4, "texts stand in single quotes"),
        (r"a = '\q'", 4, r"a text has the unknown escape '\q'"),
        ("x" * (MAX_LENGTH + 1), 0, f"longer than {MAX_LENGTH} characters; use let"),
    ],
)
def test_a_mistake_is_named_at_its_offset(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        tokenize(text)

    assert (caught.value.at, caught.value.message) == (at, message)
