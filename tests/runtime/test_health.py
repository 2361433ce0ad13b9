from __future__ import annotations

from runtime.health import Health


def test_nobody_is_ready_before_the_start_and_after_the_end() -> None:
    health = Health()
    before = health.reasons()
    health.started()
    between = health.reasons()
    health.draining()

    assert before == {"process": "starting"}
    assert between == {}
    assert health.reasons() == {"process": "draining: no new work is taken"}


def test_every_check_that_finds_something_is_told() -> None:
    health = Health()
    health.started()
    reason: str | None = "not connected"
    health.add("broker", lambda: reason)
    health.add("disk", lambda: None)

    assert health.reasons() == {"broker": "not connected"}
    reason = None
    assert health.reasons() == {}


def test_a_check_of_the_same_name_replaces() -> None:
    health = Health()
    health.started()
    health.add("broker", lambda: "old")
    health.add("broker", lambda: "new")

    assert health.reasons() == {"broker": "new"}


def test_a_check_that_raises_is_a_reason() -> None:
    health = Health()
    health.started()
    health.add("broker", lambda: str(1 // 0))

    assert health.reasons() == {"broker": "the check failed: integer division or modulo by zero"}
