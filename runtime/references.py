"""Secrets by reference: `env:NAME` and `file:/path` instead of the secret itself (DESIGN §4)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic import ValidationInfo

ENVIRON: Final = "environ"
"""Where the validation context holds the environment. Without it a value stands for itself: settings made in code."""

_MAX_FILE_BYTES: Final = 64 * 1024
_KEY_PREFIX: Final = "tolk_"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def fault(message: str, cure: str) -> PydanticCustomError:
    """Return the error of a value that is wrong, as validators raise it: `message` says what is wrong, `cure` what to do."""
    # The texts go in as values: as templates, a brace in a path would be taken for a field.
    return PydanticCustomError("fault", "{message}; {cure}", {"message": message, "cure": cure})


def resolve(value: Any, info: ValidationInfo) -> Any:
    """Return the secret that `value` stands for, read now. Used as a validator; raises `fault`, which never holds the secret."""
    if not isinstance(info.context, dict) or not isinstance(value, str):
        return value
    scheme, separator, reference = value.partition(":")
    if separator and scheme == "env":
        secret = _from_environment(reference, info.context[ENVIRON])
    elif separator and scheme == "file":
        secret = _from_file(reference)
    else:
        secret = value
    if not secret:
        raise fault("is empty", "give the secret, env:NAME or file:/path")
    return secret


def _from_environment(name: str, environ: dict[str, str]) -> str:
    if name.startswith(_KEY_PREFIX):  # shown nowhere: it is the key itself
        raise fault("names a key where a variable's name is expected", "write env:NAME, or the key without env:")
    if not _VARIABLE.fullmatch(name):
        raise fault("names no environment variable", "write env:NAME, with letters, digits and _")
    secret = environ.get(name)
    if not secret:
        state = "not set" if secret is None else "empty"
        raise fault(f"the environment variable {name} is {state}", f"set {name}, or name another one as env:NAME")
    return secret


def _from_file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no valid path"
        raise fault(f"the file {path!r} cannot be read: {why}", "put the secret there, or correct the path") from error
    if len(content) > _MAX_FILE_BYTES:
        raise fault(f"the file {path!r} is larger than 64 KiB", "name the file that holds nothing but the secret")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise fault(f"the file {path!r} is no UTF-8 text", "put the secret there as text") from error
    return text.rstrip("\r\n")
