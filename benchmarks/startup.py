"""How long `fhirbridge --version` takes, in times of `flask --version`; at most 1.5."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
MOST = 1.5
BIN = Path(sys.executable).parent


def seconds(program: str) -> float:
    """Return how long one start took."""
    begin = time.perf_counter()
    subprocess.run([BIN / program, "--version"], check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> int:
    """Print both medians and their ratio; 1 when we are too slow."""
    for program in ("fhirbridge", "flask"):
        seconds(program)  # fills the disk cache and __pycache__
    # In turns, so that a busy machine slows both alike.
    pairs = [(seconds("fhirbridge"), seconds("flask")) for _ in range(RUNS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"fhirbridge {ours * 1000:.0f} ms, flask {theirs * 1000:.0f} ms, {RUNS} runs each")
    print(f"ratio {ours / theirs:.2f} (at most {MOST})")
    return int(ours / theirs > MOST)


if __name__ == "__main__":
    sys.exit(main())
