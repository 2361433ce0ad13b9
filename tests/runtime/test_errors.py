from __future__ import annotations

import errno
import os

from runtime.config import ConfigError, Fault
from runtime.errors import OperatorError, exit_code, is_for_operators, leaves, listen_failed, one_line
from runtime.faults import dotted

FAULT = Fault("broker.knid", 2, "unknown key", 'did you mean "kind"?', "sluice.toml")


def test_a_group_is_the_errors_in_it() -> None:
    first, second, third = OperatorError("a"), ValueError("b\n  c"), KeyError()
    group = ExceptionGroup("all", [first, ExceptionGroup("inner", [second, third, OperatorError("a")])])

    assert leaves(group)[:3] == [first, second, third]
    assert one_line(group) == "a; b c; KeyError"
    assert not is_for_operators(group)
    assert is_for_operators(ExceptionGroup("theirs", [first, ConfigError([FAULT])]))


def test_exit_codes() -> None:
    assert exit_code(ValueError()) == 1
    assert exit_code(OperatorError()) == 1
    assert exit_code(ExceptionGroup("", [ValueError(), ConfigError([FAULT])])) == 2


def test_a_configuration_error_holds_its_faults() -> None:
    error = ConfigError([FAULT, Fault("", None, "cannot be read", "", "x.toml")])

    assert str(error) == 'sluice.toml:2: broker.knid: unknown key; did you mean "kind"?\nx.toml: cannot be read'


def test_paths_are_dotted_and_indexed() -> None:
    assert dotted(("storefronts", 0, "ingestion", "url")) == "storefronts[0].ingestion.url"
    assert dotted(()) == ""


def test_a_server_that_cannot_listen_says_where_and_why() -> None:
    taken = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    nameless = OSError("no such host")

    assert (
        str(listen_failed("the gateway", "h", 80, taken)) == "the gateway cannot listen on h:80: Address already in use"
    )
    assert str(listen_failed("the gateway", "h", 80, nameless)) == "the gateway cannot listen on h:80: no such host"
