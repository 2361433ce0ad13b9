"""How every client of ours connects: servers, encryption, credentials."""

from __future__ import annotations

import asyncio
import os
import ssl
from typing import TYPE_CHECKING, Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError

from broker.interface import Unavailable
from broker.kafka.inside import with_closed_connections_told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from runtime.settings import BrokerSettings

CLIENT_ID = "sluice"

REQUEST_TIMEOUT_MS = 10_000
"""After which a request counts as lost and its connection as dead. Not shorter than a leader takes to hear of a dead
follower's end, and not longer than callers of ours wait."""

_KNOCK_MS = 5_000


class Connection:
    """What the settings say about connecting. `prepare` before `arguments`; holds secrets, shows none."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._ssl: ssl.SSLContext | None = None

    @property
    def servers(self) -> str:
        """The bootstrap servers as configured: how messages to an operator name this Kafka."""
        return self._settings.bootstrap_servers

    async def prepare(self) -> None:
        """Read certificates and keys. Raises Unavailable naming the setting that is at fault."""
        with_closed_connections_told()
        settings = self._settings
        if settings.security_protocol.startswith("SASL"):
            for name in ("sasl_plain_username", "sasl_plain_password"):
                if getattr(settings, name) is None:
                    raise Unavailable(
                        f"broker.{name} is missing: broker.security_protocol is {settings.security_protocol}"
                    )
        if settings.security_protocol.endswith("SSL"):
            self._ssl = await asyncio.to_thread(self._context)

    def arguments(self, client_id: str = CLIENT_ID) -> dict[str, Any]:
        """Return the arguments that connect any of aiokafka's clients, secrets among them: never log them."""
        return {"bootstrap_servers": self.servers, "client_id": client_id, **self._security()}

    async def knock(self) -> None:
        """Connect once, encrypted and authenticated, to any of the servers, and hang up. Raises Unavailable with what each said.

        aiokafka tells only that it could not bootstrap; what was wrong it writes to its log.
        """
        faults: list[str] = []
        for host, port, _ in collect_hosts(self.servers, randomize=False):
            try:
                connection = await create_conn(
                    host, port, client_id=CLIENT_ID, request_timeout_ms=_KNOCK_MS, **self._security()
                )
            except (OSError, KafkaError, ValueError, AssertionError) as error:
                # ValueError and AssertionError are how a SCRAM exchange fails that the server broke off.
                faults.append(f"{host}:{port}: {_reason(error)}")
            else:
                await connection.close()
                return
        raise Unavailable(f"Kafka cannot be reached: {'; '.join(faults)}")

    def _security(self) -> Mapping[str, Any]:
        settings = self._settings
        arguments: dict[str, Any] = {"security_protocol": settings.security_protocol, "ssl_context": self._ssl}
        if settings.security_protocol.startswith("SASL"):
            arguments["sasl_mechanism"] = settings.sasl_mechanism
            arguments["sasl_plain_username"] = settings.sasl_plain_username
            arguments["sasl_plain_password"] = _secret(settings.sasl_plain_password)
        return arguments

    def _context(self) -> ssl.SSLContext:
        settings = self._settings
        try:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.ssl_cafile)
        except (OSError, ValueError) as error:
            raise Unavailable(f"broker.ssl_cafile: {settings.ssl_cafile} cannot be read: {_reason(error)}") from None
        context.check_hostname = settings.ssl_check_hostname
        if settings.ssl_certfile is not None:
            # Without a password OpenSSL would ask for one on the terminal.
            password = _secret(settings.ssl_password) or ""
            try:
                context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password)
            except (OSError, ValueError) as error:
                raise Unavailable(
                    f"broker.ssl_certfile, ssl_keyfile, ssl_password: the pair {settings.ssl_certfile},"
                    f" {settings.ssl_keyfile or settings.ssl_certfile} cannot be loaded: {_reason(error)}"
                ) from None
        return context


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_KNOCK_MS / 1000:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return " ".join(str(error).split()) or type(error).__name__
