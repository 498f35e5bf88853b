"""Build the Java project of this folder when it is stale; start its programs, which end with us."""

import hashlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).parent / "java"
TARGET = PROJECT / "target"
BUILT_FROM = TARGET / "built-from"
CLASSPATH = TARGET / "classpath"
LONGEST_GOODBYE = 20
QUICKLY = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true"]


def answer(main: str, given: bytes) -> bytes:
    """Run a Java program to its end with this input; return what it prints."""
    command = ["java", *QUICKLY, "-cp", class_path(), main]
    done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@contextmanager
def program(
    main: str, *arguments: str, options: Sequence[str] = (), log: Path
) -> Iterator[subprocess.Popen[str]]:
    """Run a Java program while the block lasts; `said_ready` waits until it can be used."""
    command = ["java", "-XX:+UseSerialGC", "-Djava.awt.headless=true", *options]
    command += ["-cp", class_path(), main, *arguments]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        )
        try:
            yield process
        finally:
            end(process)


def said_ready(process: subprocess.Popen[str], log: Path) -> str:
    """Wait for the line READY and return what follows it; fails with the log when it died."""
    for line in pipe(process.stdout):
        if line.startswith("READY"):
            return line.removeprefix("READY").strip()
    last = "\n".join(log.read_text().splitlines()[-30:])
    message = f"The Java program ended before it was ready. The end of {log}:\n{last}"
    raise AssertionError(message)


def pipe(stream: IO[str] | None) -> IO[str]:
    """Every pipe was asked for, which the types cannot know."""
    assert stream is not None
    return stream


def end(process: subprocess.Popen[str]) -> None:
    """Close its standard input, which ends it; kill it when it does not listen."""
    with suppress(BrokenPipeError):  # it may be dead already
        pipe(process.stdin).close()
    try:
        process.wait(LONGEST_GOODBYE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    pipe(process.stdout).close()


def class_path() -> str:
    """Return the class path, after a build where sources or libraries are not as they were."""
    sources = [PROJECT / "pom.xml", *sorted((PROJECT / "src").rglob("*.*"))]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    if not is_built(digest):
        subprocess.run(["mvn", "-B", "-q", "compile"], cwd=PROJECT, check=True)
        BUILT_FROM.write_text(digest)
    return os.pathsep.join([str(TARGET / "classes"), CLASSPATH.read_text()])


def is_built(digest: str) -> bool:
    if not BUILT_FROM.is_file() or BUILT_FROM.read_text() != digest:
        return False
    return all(Path(jar).is_file() for jar in CLASSPATH.read_text().split(os.pathsep))
