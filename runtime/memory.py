"""What is freed goes back to the system, so that a process is as large as what it works on, not as the most it ever worked on."""

from __future__ import annotations

import ctypes
from typing import Final

LARGE_BYTES: Final = 256 * 1024
_M_MMAP_THRESHOLD: Final = -3
"""Of glibc's malloc.h."""


def give_back_large_blocks() -> bool:
    """Have the C library ask the system for every block of `LARGE_BYTES` or more by itself, and return it when it is freed; say
    whether it will. Without that glibc keeps what threads freed, for each of them apart. Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # not glibc
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))
