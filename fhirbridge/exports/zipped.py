"""A package as one ZIP: the same bytes for the same files, on any machine."""

import os
import zipfile
from pathlib import Path

from fhirbridge.exports.question import ExportError
from fhirbridge.overview.folder import PRIVATE_FILE

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time that a ZIP can say
UNIX = 3
BLOCK = 1 << 20


def beside(folder: Path) -> Path:
    """Write NAME.zip beside the folder NAME; it is there whole or not at all. Raises ExportError.

    Nothing is pressed: another zlib would press the same content to other bytes.
    """
    target = folder.absolute().with_name(f"{folder.name}.zip")
    part = target.with_name(f".{target.name}.part")
    try:
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        with os.fdopen(opened, "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
                for one in sorted(path for path in folder.rglob("*") if path.is_file()):
                    _add(made, one, f"{folder.name}/{one.relative_to(folder).as_posix()}")
            file.flush()
            os.fsync(file.fileno())
        os.link(part, target)  # unlike a renaming, this replaces nothing
    except OSError as error:
        raise ExportError(
            f"{target.name} cannot be written: {error.strerror or 'no reason given'}",
            hint=f"the folder {folder.name} is whole; remove what has that name, or pack it "
            "yourself",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _add(made: zipfile.ZipFile, path: Path, name: str) -> None:
    about = zipfile.ZipInfo(name, EPOCH)
    about.create_system = UNIX
    about.external_attr = PRIVATE_FILE << 16
    about.file_size = path.stat().st_size
    with path.open("rb") as source, made.open(about, "w") as target:
        while block := source.read(BLOCK):
            target.write(block)
