"""Errors that are meant for an operator, and the one line that is shown of any error.

OperatorError            what its text says is all an operator needs; exit code 1
└── config.ConfigError   the configuration is faulty; exit code 2
"""

from __future__ import annotations

import os
import socket
from typing import ClassVar


class OperatorError(Exception):
    """An error whose text tells an operator what is wrong and what to do; nobody is shown a traceback for it.

    `exit_code` is what a command that ends of it answers.
    """

    exit_code: ClassVar[int] = 1


class ListenError(OperatorError):
    """A server's address cannot be had. Made by `listen_failed`."""


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors that a tree of exception groups holds, in their order; a plain error is its own leaf."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]


def is_for_operators(error: BaseException) -> bool:
    """Say whether `error`, or every error of the group that it is, is meant for an operator."""
    return all(isinstance(leaf, OperatorError) for leaf in leaves(error))


def one_line(error: BaseException) -> str:
    """Return what to show of any error, as one line: the text of each distinct error in it, else its class's name."""
    texts = dict.fromkeys(" ".join(str(leaf).split()) or type(leaf).__name__ for leaf in leaves(error))
    return "; ".join(texts)


def exit_code(error: BaseException) -> int:
    """Return the exit code of a command that `error` ends: the highest its errors ask for, 1 when they ask for none."""
    return max((leaf.exit_code if isinstance(leaf, OperatorError) else 1) for leaf in leaves(error))


def listen_failed(what: str, host: str, port: int, error: OSError) -> ListenError:
    """Return the operator's error for a server `what` that could not listen at `host`:`port`."""
    # asyncio wraps the system's words in its own, which say the address again.
    own_words = isinstance(error, socket.gaierror) or error.errno is None
    why = error.strerror or str(error) if own_words else os.strerror(error.errno or 0)
    return ListenError(f"{what} cannot listen on {host}:{port}: {why}")
