"""E3: a checkpoint is believed for its signature alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.audit import notes, signatures
from fhirbridge.audit.notes import Checkpoint, NoteError

SEED, OTHER = bytes(range(32)), bytes(range(1, 33))
NAME = "clinic.invalid/main/evidence"
SAID = Checkpoint(origin=NAME, size=7, root=b"\x07" * 32, at="2026-05-04T09:00:00.000000Z")
KEY = notes.verifier_of(NAME, SEED)
NOTE = notes.signed(SAID, [(NAME, SEED)])
# From C2SP's signed-note: the example key, and a note that it signed.
EXAMPLE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
EXAMPLE_SIGNATURE = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_keys_and_signatures_are_those_of_other_programs() -> None:
    key = notes.verifier(EXAMPLE_KEY)
    raw = notes._bytes(EXAMPLE_SIGNATURE)

    assert str(key) == EXAMPLE_KEY
    assert raw[:4].hex() == key.id
    assert key.accepts(raw[4:], EXAMPLE.encode())


def test_what_was_signed_is_read_back() -> None:
    assert notes.opened(NOTE, [KEY]) == (SAID, (KEY.id,))


def test_a_note_that_nobody_of_ours_signed_names_no_key() -> None:
    other = notes.verifier_of(NAME, OTHER)

    assert notes.opened(NOTE, [other]) == (SAID, ())
    assert notes.opened(NOTE, []) == (SAID, ())


def test_e3_after_a_rotation_each_of_both_keys_is_enough() -> None:
    both = notes.signed(SAID, [(NAME, SEED), (NAME, OTHER)])

    assert notes.opened(both, [KEY])[1] == (KEY.id,)
    assert notes.opened(both, [notes.verifier_of(NAME, OTHER)])[1] != ()


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_each_changed_byte_is_no_signature_any_more(at: int, change: int) -> None:
    raw = bytearray(NOTE.encode())
    raw[at] ^= change
    try:
        said, by = notes.opened(raw.decode(), [KEY])
    except (UnicodeDecodeError, NoteError):
        return
    # Line ends that Python knows besides \n change no text that was signed.
    assert by == () or said == SAID


@pytest.mark.parametrize(
    "text",
    ["", "a", "a+b+c", EXAMPLE_KEY[:-4], EXAMPLE_KEY.replace("c74f", "c74e"), f"+{EXAMPLE_KEY}"],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        notes.verifier(text)


def test_a_manifest_is_signed_over_its_exact_bytes() -> None:
    made = signatures.sign(b'{"a":1}', NAME, SEED)

    assert signatures.signer(made, b'{"a":1}', [notes.verifier_of(NAME, OTHER), KEY]) == KEY
    assert signatures.signer(made, b'{"a": 1}', [KEY]) is None
    assert signatures.signer(made, b'{"a":1}', [notes.verifier_of(NAME, OTHER)]) is None
    assert signatures.signer("nothing", b'{"a":1}', [KEY]) is None
