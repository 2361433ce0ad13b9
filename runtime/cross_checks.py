"""What is wrong between keys that are right one by one."""

from __future__ import annotations

import itertools
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from runtime.addresses import overlap
from runtime.faults import dotted
from runtime.settings import ADMIN_PORTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from runtime.settings import Settings, StorefrontSettings
    from runtime.toml_lines import Path

PUBLISHABLE: Final = "tolk_pub_"
SECRET: Final = "tolk_sec_"  # noqa: S105  # a prefix


class Conflict(NamedTuple):
    """A fault between keys: `paths[0]` is where it is told, the others took part in it."""

    paths: tuple[Path, ...]
    message: str
    cure: str


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Yield everything that is wrong between the keys of `settings`."""
    yield from _broker(settings)
    yield from _limits(settings)
    yield from _storefronts(settings)
    yield from _keys(settings)
    yield from _ports(settings)


def _broker(settings: Settings) -> Iterator[Conflict]:
    broker = settings.broker
    if broker.kind != "kafka":
        return
    protocol = ("broker", "security_protocol")
    sasl = broker.security_protocol.startswith("SASL_")
    for key in ("sasl_plain_username", "sasl_plain_password"):
        given = getattr(broker, key) is not None
        if sasl and not given:
            yield Conflict(
                (("broker", key), protocol),
                f"is required with {broker.security_protocol}",
                f"set it, or another {dotted(protocol)}",
            )
        if given and not sasl:
            yield Conflict(
                (("broker", key), protocol),
                f"is not used with {broker.security_protocol}",
                'set broker.security_protocol to "SASL_SSL", or leave the key out',
            )
    if broker.ssl_keyfile is not None and broker.ssl_certfile is None:
        yield Conflict(
            (("broker", "ssl_keyfile"), ("broker", "ssl_certfile")), "has no certificate", "set broker.ssl_certfile too"
        )
    for key in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        path = getattr(broker, key)
        if path is not None and not FilePath(path).is_file():
            yield Conflict((("broker", key),), f"there is no file {path!r}", "put it there, or correct the path")


def _limits(settings: Settings) -> Iterator[Conflict]:
    gateway = settings.gateway
    if gateway.max_event_bytes > gateway.max_body_bytes:
        paths: tuple[Path, ...] = (("gateway", "max_event_bytes"), ("gateway", "max_body_bytes"))
        yield Conflict(
            paths, "is more than gateway.max_body_bytes: no body holds such an event", "lower it, or raise the other"
        )
    forwarder = settings.forwarder
    if forwarder.dead_letter_ratio > 0 and forwarder.dead_letter_ratio * forwarder.dead_letter_window < 1:
        paths = (("forwarder", "dead_letter_window"), ("forwarder", "dead_letter_ratio"))
        yield Conflict(
            paths,
            f"is too short: {forwarder.dead_letter_ratio:g} of it is less than one dead letter",
            "raise it, or set the ratio to 0 when the first dead letter is to park a storefront",
        )


def _storefronts(settings: Settings) -> Iterator[Conflict]:
    if not settings.storefronts:
        yield Conflict((("storefronts",),), "there is no storefront", "add one under [[storefronts]]")
    first: dict[str, int] = {}
    for index, storefront in enumerate(settings.storefronts):
        path: Path = ("storefronts", index, "name")
        other = first.setdefault(storefront.name, index)
        if other != index:
            earlier: Path = ("storefronts", other, "name")
            yield Conflict((path, earlier), f"is {dotted(earlier)} too", "give each storefront a name of its own")
        if not storefront.publishable_keys and not storefront.secret_keys:
            here: tuple[Path, ...] = (("storefronts", index, "publishable_keys"), ("storefronts", index, "secret_keys"))
            yield Conflict(here, "has no keys: nobody could send to it", "add publishable_keys or secret_keys")
        if storefront.ingestion.api_key.get_secret_value().startswith(PUBLISHABLE):
            yield Conflict(
                (("storefronts", index, "ingestion", "api_key"),),
                "is a publishable key; it may not read analytics",
                f"give a secret one, {SECRET}…",
            )


def _keys(settings: Settings) -> Iterator[Conflict]:
    first: dict[str, Path] = {}
    for index, storefront in enumerate(settings.storefronts):
        for path, key in _keys_of(index, storefront):
            text = key.get_secret_value()
            other = first.setdefault(text, path)
            if other != path:
                yield Conflict(
                    (path, other), f"stands in {dotted(other)} too", "a key stands once, in one storefront only"
                )
            if not is_header_text(text):
                yield Conflict(
                    (path,), "holds characters that no HTTP header may", "a key is printable ASCII without spaces"
                )
            wrong, right = (
                (SECRET, "secret_keys") if path[2] == "publishable_keys" else (PUBLISHABLE, "publishable_keys")
            )
            if text.startswith(wrong):
                yield Conflict((path,), f"begins with {wrong}", f"move it to {right}")
        path = ("storefronts", index, "ingestion", "api_key")
        if not is_header_text(storefront.ingestion.api_key.get_secret_value()):
            yield Conflict(
                (path,), "holds characters that no HTTP header may", "a key is printable ASCII without spaces"
            )


def _keys_of(index: int, storefront: StorefrontSettings) -> Iterator[tuple[Path, SecretStr]]:
    for kind, keys in (("publishable_keys", storefront.publishable_keys), ("secret_keys", storefront.secret_keys)):
        for number, key in enumerate(keys):
            yield ("storefronts", index, kind, number), key


def is_header_text(key: str) -> bool:
    """Say whether a key can be sent in an HTTP header as it stands."""
    return key.isascii() and key.isprintable() and " " not in key


class _Listener(NamedTuple):
    path: Path
    host: str
    port: int
    given: bool  # not a default


def _ports(settings: Settings) -> Iterator[Conflict]:
    listeners = [listener for listener in _listeners(settings) if listener.port != 0]
    for one, other in itertools.combinations(listeners, 2):
        if one.port == other.port and overlap(one.host, other.host):
            here, there = (one, other) if one.given and not other.given else (other, one)
            yield Conflict(
                (here.path, there.path),
                f"port {here.port} is {dotted(there.path)} too",
                "give each a port of its own, or 0 for any",
            )


def _listeners(settings: Settings) -> Iterator[_Listener]:
    """Yield who would listen where on one machine. The sandbox counts only where it is used: production has none."""
    gateway, admin = settings.gateway, settings.admin
    yield _Listener(("gateway", "port"), gateway.host, gateway.port, "port" in gateway.model_fields_set)
    ports = sorted(set(ADMIN_PORTS.values())) if admin.port is None else [admin.port]
    for port in ports:
        yield _Listener(("admin", "port"), admin.host, port, "port" in admin.model_fields_set)
    if _sandbox_is_used(settings):
        sandbox = settings.sandbox
        for key in ("port", "fault_port"):
            yield _Listener(("sandbox", key), sandbox.host, getattr(sandbox, key), key in sandbox.model_fields_set)


def _sandbox_is_used(settings: Settings) -> bool:
    sandbox = settings.sandbox
    if sandbox.model_fields_set:
        return True
    urls = [storefront.ingestion.url for storefront in settings.storefronts]
    for url in urls + [account.url for account in settings.accounts]:
        parts = urlsplit(url)
        if parts.port == sandbox.port and overlap(parts.hostname or "", sandbox.host):
            return True
    return False
