"""The files of a folder of mappings: which there may be, read without trusting any of them."""

import errno
from pathlib import Path

from fhirbridge.translate.faults import Fault, Faults, MappingError, Place

FOLDERS = {
    "resources": ".yaml",
    "conceptmaps": ".yaml",
    "fragments": ".yaml",
    "documents": ".html",
    "overlays": ".yaml",
}
NEEDED = ("fhirbridge.yaml", "codes.yaml", "units.yaml")
MAY_LACK = ("ignored.yaml",)  # read by the coverage report only
LARGEST_FILE = 1_000_000
ODD = "a plain file, its name of printable characters"


def read(folder: Path, faults: Faults) -> dict[str, bytes]:
    """Read the files of a set; what lies there and would be passed over is noted.

    Raises MappingError where it is no such folder at all.
    """
    found: dict[str, bytes] = {}
    if not any((folder / name).is_file() for name in NEEDED):
        message = f"no folder of mappings: it has none of {', '.join(NEEDED)}"
        raise MappingError([Fault(code="E219", place=Place(file=folder.name), message=message)])
    for name in (*NEEDED, *MAY_LACK):
        path = folder / name
        if path.is_file():
            _take(found, path, name, faults, folder.name)
        elif name in NEEDED:
            faults.add("E219", Place(file=f"{folder.name}/{name}"), "the file is missing")
    _take_folders(found, folder, faults)
    return found


def _take_folders(found: dict[str, bytes], folder: Path, faults: Faults) -> None:
    for inner, ending in FOLDERS.items():
        for path in sorted((folder / inner).glob("*")) if (folder / inner).is_dir() else ():
            name = f"{inner}/{path.name}"
            if path.name.startswith((".", "__")):
                continue
            if is_name(name) and path.is_file():
                _take(found, path, name, faults, folder.name)
                continue
            place = Place(file=f"{folder.name}/{shown(name)}")
            said = f"in {inner}/ only files that end in {ending} are read"
            faults.add("E219", place, said if path.suffix != ending else f"{said}: {ODD}")


def _take(found: dict[str, bytes], path: Path, name: str, faults: Faults, root: str) -> None:
    try:
        found[name] = bounded(path)
    except OSError as error:
        faults.add("E219", Place(file=f"{root}/{name}"), str(error.strerror))


def bounded(path: Path) -> bytes:
    """Read a file that is not too large. Raises OSError with a `strerror` for people."""
    with path.open("rb") as file:
        raw = file.read(LARGEST_FILE + 1)
    if len(raw) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"larger than {LARGEST_FILE} bytes")
    return raw


def is_name(name: str) -> bool:
    """Tell whether a file of a set may have this name: printable, and one folder deep at most."""
    inner, _, own = name.rpartition("/")
    if not inner:
        return name in (*NEEDED, *MAY_LACK)
    ending = FOLDERS.get(inner)
    stem = own.removesuffix(ending or own)
    return bool(stem) and own != stem and own.isprintable() and own[0] != "." and "\\" not in own


def shown(name: str) -> str:
    """Write a file's name as it can be printed and stored, whatever bytes it has."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
