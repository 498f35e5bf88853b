"""A set of mappings is compiled once for all tests of a process: it never changes.

Most tests that make an installation compile the packaged set, which takes seconds, and are about
something else. Only equal files give an equal digest; what cannot be compiled is tried each time.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import Files
from fhirbridge.workbench import cases, comparison

MOST = 12  # sets kept; tests of the compiler make thousands of small ones


def remember(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both ways to compile remember what they made, wherever they are called."""
    for name in ("compile_all", "compile_set"):
        remembering = _remembering(getattr(mapping_set, name))
        for room in (mapping_set, cases, comparison):
            if hasattr(room, name):
                monkeypatch.setattr(room, name, remembering)


def _remembering(compile_it: Callable[..., Any]) -> Callable[..., Any]:
    made: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def compiled(files: Files, source: Any, *overlay: str, traced: bool = True) -> Any:
        key = (files.digest, files.root, id(source), overlay, traced)
        if key not in made:
            made[key] = compile_it(files, source, *overlay, traced=traced)
        made.move_to_end(key)
        while len(made) > MOST:
            made.popitem(last=False)
        return made[key]

    return compiled
