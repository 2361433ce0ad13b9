"""Kafka alone: connecting, encrypted and authenticated, and what an operator is told when that fails."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog
from pydantic import SecretStr

from broker.interface import Unavailable
from broker.kafka.broker import KafkaBroker
from runtime.clock import SystemClock
from runtime.metrics import Metrics
from runtime.settings import BrokerSettings
from schemas.topics import events_spec
from tests.broker.log_contents import message, values
from tests.kafka.ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kafka.cluster import KafkaCluster
    from tests.kafka.fixtures import RunningKafka

PASSWORD = "s3cret-of-the-broker"


def broker_of(settings: BrokerSettings) -> KafkaBroker:
    return KafkaBroker(settings, Metrics(), structlog.get_logger("test"), SystemClock())


async def refusal(settings: BrokerSettings) -> str:
    """Return what an operator reads when this broker cannot be started."""
    broker = broker_of(settings)
    with pytest.raises(Unavailable) as caught:
        await broker.start()
    await broker.close()
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_broker_that_is_not_there_is_named_with_its_fault() -> None:
    first, second = (f"127.0.0.1:{port}" for port in free_ports(2))
    said = await refusal(BrokerSettings(kind="kafka", bootstrap_servers=f"{first},{second}"))
    assert said == f"Kafka cannot be reached: {first}: Connection refused; {second}: Connection refused"


async def test_what_is_missing_in_the_settings_is_named(tmp_path: Path) -> None:
    sasl = BrokerSettings(kind="kafka", security_protocol="SASL_PLAINTEXT", sasl_plain_username="sluice")
    assert await refusal(sasl) == "broker.sasl_plain_password is missing: broker.security_protocol is SASL_PLAINTEXT"
    missing = str(tmp_path / "ca.pem")
    encrypted = BrokerSettings(kind="kafka", security_protocol="SSL", ssl_cafile=missing)
    assert await refusal(encrypted) == f"broker.ssl_cafile: {missing} cannot be read: No such file or directory"
    (tmp_path / "key.pem").write_text("nonsense")
    keyless = BrokerSettings(kind="kafka", security_protocol="SSL", ssl_certfile=str(tmp_path / "key.pem"))
    assert "broker.ssl_certfile, ssl_keyfile, ssl_password" in await refusal(keyless)


@pytest.mark.kafka
async def test_more_replicas_than_brokers_names_the_cure(kafka: RunningKafka) -> None:
    broker = broker_of(BrokerSettings(kind="kafka", bootstrap_servers=kafka.bootstrap_servers, replication_factor=3))
    async with broker:
        with pytest.raises(Unavailable, match=r"broker\.replication_factor is 3, the cluster has 1 broker; .* = 1$"):
            await broker.ensure_topics([events_spec("never-created", 1)])


def keystore(place: Path) -> Path:
    """Make a key with its certificate for 127.0.0.1 in a keystore; return the certificate as PEM."""
    java = shutil.which("java")
    assert java is not None
    keytool = str(Path(java).resolve().with_name("keytool"))
    store = ["-keystore", str(place / "keys.p12"), "-storepass", "changeit", "-alias", "broker"]
    made = [
        *("-genkeypair", "-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=127.0.0.1", "-validity", "2"),
        *("-ext", "SAN=IP:127.0.0.1", "-storetype", "PKCS12"),
    ]
    certificate = place / "broker.pem"
    for command in (made, ["-exportcert", "-rfc", "-file", str(certificate)]):
        subprocess.run([keytool, *command, *store], check=True, capture_output=True)  # noqa: S603  # Java's own, no shell
    return certificate


@pytest.mark.kafka
async def test_encrypted_and_authenticated(start_kafka: Callable[..., KafkaCluster], tmp_path: Path) -> None:
    certificate = await asyncio.to_thread(keystore, tmp_path)
    (port,) = free_ports(1)
    secure = f"SECURE://127.0.0.1:{port}"
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    extra = {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": f'{login} user_sluice="{PASSWORD}";',
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.location": str(tmp_path / "keys.p12"),
        "ssl.keystore.password": "changeit",
    }
    await asyncio.to_thread(lambda: start_kafka(extra=extra, listeners=[secure]))
    good = BrokerSettings(
        kind="kafka",
        bootstrap_servers=f"127.0.0.1:{port}",
        replication_factor=1,
        security_protocol="SASL_SSL",
        sasl_plain_username="sluice",
        sasl_plain_password=SecretStr(PASSWORD),
        ssl_cafile=str(certificate),
    )
    async with broker_of(good) as broker:
        await broker.ensure_topics([events_spec("secure", 1)])
        publisher = await broker.publisher()
        await publisher.publish("ecommerce.events.secure", 0, [message(b"in secret")])
        assert await values(broker, "ecommerce.events.secure") == [b"in secret"]

    wrong = good.model_copy(update={"sasl_plain_password": SecretStr(PASSWORD + "!")})
    assert "Authentication failed: Invalid username or password" in await refusal(wrong)
    untrusted = good.model_copy(update={"ssl_cafile": None})
    assert "its certificate is not trusted" in await refusal(untrusted)
    elsewhere = good.model_copy(update={"bootstrap_servers": f"localhost:{port}"})
    assert "Hostname mismatch" in await refusal(elsewhere)
    async with broker_of(elsewhere.model_copy(update={"ssl_check_hostname": False})) as broker:
        assert await broker.partitions("ecommerce.events.secure") == 1
