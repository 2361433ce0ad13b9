"""Runs a command for as long as somebody holds the other end of standard input.

`python leash.py COMMAND…` prints the command's process id, then waits. When standard input ends, because its holder
closed it or died by whatever signal, the command is killed at once. So no JVM outlives a killed test run. Exits when
the command has ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def main(command: list[str]) -> None:
    """Run `command`; never returns."""
    child = subprocess.Popen(  # noqa: S603 - given by our own tests
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()

    def hold() -> None:
        # Raw reads: a thread that waits inside a buffered reader keeps the interpreter from ending.
        while os.read(0, 1024):
            continue
        child.kill()

    threading.Thread(target=hold, daemon=True).start()
    child.wait()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
