"""What somebody sees who watches a delivery, and how he stops it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fhirbridge.cli import printing

STOPS = (signal.SIGINT, signal.SIGTERM)
SETTLED = "settled"


@contextmanager
def bar(total: int) -> Iterator[Callable[[Any, str], None]]:
    """Show settled deliveries as a bar, on a terminal only; yield what takes each step."""
    console = Console(stderr=True)
    columns = (TextColumn("delivering"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, disable=not console.is_terminal, transient=True
    ) as progress:
        task = progress.add_task("delivering", total=total)

        def on_step(_lane: Any, step: str) -> None:
            if step == SETTLED:
                progress.advance(task)

        yield on_step


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and SIGTERM end a run after the exchange under way; a second one ends it at once.

    Yields what says whether to go on.
    """
    stopped = False
    before = {number: signal.getsignal(number) for number in STOPS}

    def stop(_number: int, _frame: Any) -> None:
        nonlocal stopped
        stopped = True
        for number, handler in before.items():
            signal.signal(number, handler)
        printing.remark("Stopping after the exchange that is under way …")

    for number in STOPS:
        signal.signal(number, stop)
    try:
        yield lambda: not stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
