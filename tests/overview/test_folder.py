"""A folder is complete with its manifest, or it is not there."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fhirbridge.overview import folder
from fhirbridge.overview.folder import FolderError


def test_it_has_its_name_only_when_all_of_it_is_there(tmp_path: Path) -> None:
    target = tmp_path / "pack"

    with folder.made(target) as out:
        out.write("a/b", b"1")
        assert not target.exists()

    assert (target / "a" / "b").read_bytes() == b"1"
    assert [one.name for one in tmp_path.iterdir()] == ["pack"]


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def broken_off() -> Iterator[dict[str, int]]:
        yield {"row": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), folder.made(tmp_path / "pack") as out:
        out.lines("a", broken_off())

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_is_removed_first(tmp_path: Path) -> None:
    left = tmp_path / ".pack.part"
    (left / "payloads").mkdir(parents=True)
    (left / "payloads" / "x").write_bytes(b"old")

    with folder.made(tmp_path / "pack") as out:
        out.write("a", b"1")

    assert [str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")] == ["pack", "pack/a"]


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    part = tmp_path / ".pack.part"
    part.mkdir()
    (part / "theirs").write_bytes(b"1")
    other = os.open(part, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)

    with pytest.raises(FolderError, match="just now"), folder.made(tmp_path / "pack"):
        pass

    os.close(other)
    assert (part / "theirs").exists()


def test_where_nothing_can_be_written_it_says_so_without_a_path(tmp_path: Path) -> None:
    with pytest.raises(FolderError) as caught, folder.made(tmp_path / "none" / "pack"):
        pass

    assert caught.value.message == "pack cannot be written: No such file or directory"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "pack").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(FolderError, match="is there already"), folder.made(tmp_path / "pack"):
        pass
