"""A report's file: whole and private, or not there."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.reports import private_file
from fhirbridge.reports.table import ReportError


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    private_file.write(tmp_path / "r.csv", [b"a", b"b"])

    assert (tmp_path / "r.csv").read_bytes() == b"ab"
    assert stat.S_IMODE((tmp_path / "r.csv").stat().st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == 1


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(ReportError, match=r"r\.csv cannot be written: No space") as caught:
        private_file.write(tmp_path / "r.csv", broken())

    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in caught.value.message


def test_a_file_or_a_link_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_bytes(b"kept")
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere")

    for name in ("there.csv", "link.csv"):
        with pytest.raises(ReportError, match="is there already"):
            private_file.write(tmp_path / name, [b"new"])

    assert (tmp_path / "there.csv").read_bytes() == b"kept"
    assert not (tmp_path / "elsewhere").exists()
