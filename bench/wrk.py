"""The same load through wrk, where it is installed: it takes less of the machine than Python can and leaves more to what is measured."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile

_SCRIPT = """
local bodies = {{ {bodies} }}
local requests = {{}}
local next = 0
init = function()
  local headers = {{ ["Content-Type"] = "application/json", ["X-API-Key"] = "{key}" }}
  for i, body in ipairs(bodies) do requests[i] = wrk.format("POST", "{path}", headers, body) end
end
request = function()
  next = next % #requests + 1
  return requests[next]
end
"""
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def is_installed() -> bool:
    """Return whether there is a wrk."""
    return shutil.which("wrk") is not None


def run(port: int, path: str, bodies: list[bytes], key: str, connections: int, seconds: float) -> dict[str, float]:
    """Load the server on loopback; returns requests/s, failures and latencies in ms."""
    quoted = ", ".join(f"[==[{body.decode()}]==]" for body in bodies)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT.format(bodies=quoted, key=key, path=path))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", script.name]
        printed = subprocess.run(  # noqa: S603 - our own command
            [*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True
        ).stdout
    failures = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    return {
        "requests_per_second": float(_found(r"Requests/sec:\s+([\d.]+)", printed)),
        "failures": float(failures[1]) if failures else 0.0,
        "p50_ms": _milliseconds(_found(r"(?m)^ +50% +(\S+)", printed)),
        "p99_ms": _milliseconds(_found(r"(?m)^ +99% +(\S+)", printed)),
    }


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"wrk printed what is not understood: {text[:500]}")
    return found[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()  # type: ignore[union-attr] # wrk's own form
    return float(number) * _SECONDS[unit] * 1000
