"""Tell by a command of the administrator's own: a mail, a pager, a chat; the alert on its input."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fhirbridge.errors import BridgeError

LONGEST_SECONDS = 20


class NotToldError(BridgeError):
    """The command that tells of alerts did not work."""

    code = "E903"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCommand:
    """Runs `words` without a shell; `environment` is what it sees."""

    words: Sequence[str]
    environment: Mapping[str, str]

    def __call__(self, message: bytes) -> None:
        """Give one alert to the command. Raises NotToldError."""
        try:
            subprocess.run(  # noqa: S603  the administrator's own command, without a shell
                self.words,
                input=message,
                env=dict(self.environment),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=LONGEST_SECONDS,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NotToldError(
                "the command in FHIRBRIDGE_ALERT_COMMAND did not work",
                hint="run it by hand with a line of JSON on its input",
            ) from error


def nobody(_message: bytes) -> None:
    """Tell nobody beside the log."""
