"""Large blocks that are freed are the system's again."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import psutil
from runtime.memory import LARGE_BYTES, give_back_large_blocks

assert give_back_large_blocks()
process = psutil.Process()
between = []
for _ in range(20):
    blocks = [bytes(4 * LARGE_BYTES) for _ in range(20)]
    between.append(bytes(1000))  # it would keep a heap from shrinking
    del blocks
before = process.memory_info().rss
blocks = [bytearray(b"x") * (4 * LARGE_BYTES) for _ in range(40)]
assert process.memory_info().rss - before > 30_000_000
del blocks
assert process.memory_info().rss - before < 2_000_000
"""


def test_what_is_freed_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, check=False)  # noqa: S603 - our own command
    assert done.returncode == 0, done.stderr.decode()
