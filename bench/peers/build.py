"""The Go gateway of bench/peers/go: built where there is a Go, and how it is started."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "go"
VARIANTS = {"encoding/json": "", "sonic": "sonic"}
"""By the name of its JSON library: the build tag that chooses it."""

DOWNLOAD_SECONDS = 120
BUILD_SECONDS = 300
"""Of a build with nothing cached, on a slow machine."""


class PeerMissingError(Exception):
    """The Go gateway cannot be had here: no Go, one that is too old, or nothing to download modules from. The message says which."""


def build(directory: Path) -> dict[str, Path]:
    """Return the Go gateway's binaries, by the name of their JSON library, made in `directory`; waits, a minute when nothing is cached.

    Modules come from wherever this machine's Go is set up to take them, and are checked against go.sum. Raises PeerMissingError, and
    RuntimeError with what the compiler says when the sources do not build.
    """
    go = shutil.which("go")
    if go is None:
        raise PeerMissingError("go is not on the PATH")
    fetched = _run([go, "mod", "download"], DOWNLOAD_SECONDS)
    if fetched:
        raise PeerMissingError(f"go could not fetch the modules: {fetched}")
    binaries = {}
    for name, tag in VARIANTS.items():
        binary = directory.resolve() / f"go-gateway-{tag or 'std'}"
        failed = _run([go, "build", "-buildvcs=false", "-tags", tag, "-o", str(binary), "."], BUILD_SECONDS)
        if failed:
            raise RuntimeError(f"the Go gateway with {name} does not build: {failed}")
        binaries[name] = binary
    return binaries


def command(binary: Path, *, port: int, bootstrap_servers: str, storefront: str, key: str) -> list[str]:
    """Return the command that runs a Go gateway on 127.0.0.1 for one storefront, whose topics must exist. It ends in order at SIGTERM."""
    options = {"port": port, "kafka": bootstrap_servers, "storefront": storefront, "key": key}
    return [str(binary), *(f"-{name}={value}" for name, value in options.items())]


def _run(command: list[str], seconds: float) -> str:
    """Run a step of the build; returns the end of what it said when it failed, else nothing."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=SOURCES, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{command[1]} took more than {seconds} s"
    return (done.stderr or done.stdout or f"exit code {done.returncode}")[-4000:].strip() if done.returncode else ""
