"""Kafka's jars, copied once by Maven into the project's cache."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "kafka"


class KafkaMissingError(Exception):
    """Kafka cannot be had here: no Java, no Maven, or nothing to download from. The message says which."""


def java() -> str:
    """Return the path of the Java that runs Kafka. Raises KafkaMissingError."""
    found = shutil.which("java")
    if found is None:
        raise KafkaMissingError("java is not on the PATH: Kafka needs Java 17 or newer")
    return found


def class_path() -> str:
    """Return the class path of Kafka, downloading it first where that was not done yet (54 MB; it waits, seconds to
    a minute).

    Several processes may call it at once: one downloads, the others wait for it. Raises KafkaMissingError.
    """
    pom = HERE / "pom.xml"
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    library = CACHE / "lib"
    stamp = CACHE / "lib.stamp"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lib.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == wanted and library.is_dir()):
            stamp.unlink(missing_ok=True)
            _download(pom, library)
            stamp.write_text(wanted)
    return f"{library}/*"


def _download(pom: Path, library: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissingError("mvn is not on the PATH: Maven fetches Kafka's jars")
    fresh = library.with_name("lib.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    done = subprocess.run(  # noqa: S603 - our own pom, no shell
        [
            maven,
            "-q",
            "-B",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={fresh}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise KafkaMissingError(f"Maven could not fetch Kafka's jars:\n{done.stdout[-4000:]}")
    shutil.rmtree(library, ignore_errors=True)
    fresh.rename(library)
