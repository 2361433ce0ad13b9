"""In the sandbox: under its prefix, beside the ingestion API, with the keys of the configured accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from runtime.settings import AccountSettings, Settings
from sandbox.profitmetrics.stand_in import DEMO_KEY, PREFIX, ROOT
from sandbox.service import profitmetrics_keys
from tests.sandbox.running import VIEW

if TYPE_CHECKING:
    from tests.sandbox.running import Running


async def test_beside_the_ingestion_api(sandbox: Running) -> None:
    assert (await sandbox.batch(VIEW)).status == 200
    url = f"{sandbox.url}{PREFIX}{ROOT}/export/metrics"
    answer = await sandbox.request("GET", url, headers={"X-ProfitMetrics-Action-KEY": DEMO_KEY})
    assert (answer.status, len(answer.body)) == (200, 151)
    asked = await sandbox.request("GET", f"{sandbox.control_url}{PREFIX}/requests")
    assert asked.body["requests"] == 1
    unknown = await sandbox.request("GET", f"{sandbox.url}{PREFIX}/nothing")
    assert (unknown.status, unknown.body["success"]) == (404, False)


def test_the_keys_of_the_accounts() -> None:
    def account(source: str, key: str | None) -> AccountSettings:
        secret = None if key is None else SecretStr(key)
        return AccountSettings.model_validate(
            {"name": "a", "source": source, "url": "http://127.0.0.1:8081", "api_key": secret}
        )

    accounts = [account("profitmetrics", "one"), account("profitmetrics", None), account("tolinku", "two")]
    assert profitmetrics_keys(Settings(accounts=accounts)) == {DEMO_KEY: None, "one": None}
