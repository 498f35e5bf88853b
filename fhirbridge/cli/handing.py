"""Hand a secret over once."""

import os
from pathlib import Path
from typing import Self

import click

from fhirbridge.cli import printing

PRIVATE = 0o600


class Handing:
    """Hands a secret over once: on standard output, or in a file that is made before it is."""

    def __init__(self, target: Path | None, to: str) -> None:
        """`to` says for people who is to be given it."""
        self._target = target
        self._to = to

    def __enter__(self) -> Self:
        """Make the file first: a secret that nobody can be given must not be made."""
        if self._target is not None:
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                self._descriptor = os.open(self._target, flags, PRIVATE)
            except OSError as error:
                raise click.UsageError(
                    f"--to: {self._target.name} cannot be made: {error.strerror}"
                ) from None
        return self

    def over(self, secret: str, *, was_given: bool = False) -> None:
        """Give it; one that came from there is not printed back."""
        if self._target is not None:
            os.write(self._descriptor, f"{secret}\n".encode())
            os.fsync(self._descriptor)
        elif not was_given:
            printing.words(f"Its secret is shown once; give it to {self._to}:")
            click.echo(secret)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave no empty file behind where no secret came of it."""
        if self._target is not None:
            os.close(self._descriptor)
            if kind is not None:
                self._target.unlink()
