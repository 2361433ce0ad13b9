"""`python -m tests.sandbox.role PORT FAULT_PORT ADMIN_PORT PATH`: the sandbox as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from runtime.process import run_role
from sandbox.service import main
from tests.sandbox.running import settings

if __name__ == "__main__":
    port, fault_port, admin_port = map(int, sys.argv[1:4])
    configured = settings(Path(sys.argv[4]), port, fault_port)
    sys.exit(run_role("sandbox", configured, main, admin_port=admin_port, drain_seconds=10))
