"""Answers are prescribed for each key, and the clock is in the test's hand: the same happens every time, to the millisecond."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import orjson
import pytest
from multidict import CIMultiDict
from pydantic import SecretStr

from consumers.api.answers import Answer, NoAnswer
from consumers.api.ingestion import Ingestion
from consumers.pace.origin import Origin
from runtime.clock import ManualClock
from runtime.settings import ForwarderSettings, IngestionSettings
from tests.chance import seeded
from tests.consumers.shop import KEY, NAME, Shop
from tests.consumers.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LATENCY = 0.05
STEP = 0.05


class Asked(NamedTuple):
    """A request: when it came, with which events, and which answer it was given."""

    at: float
    names: tuple[str, ...]
    answer: str


def reply(word: str) -> Answer | NoAnswer:
    """An answer by its name: a status, or one with a wait ("429/30"), or none at all."""
    match word:
        case "timeout":
            return NoAnswer(timed_out=True, sent=True, words="30 s")
        case "reset":
            return NoAnswer(timed_out=False, sent=True, words="reset")
        case "html":
            return Answer(200, CIMultiDict(), b"<html>")
    status, _, wait = word.partition("/")
    body: dict[str, object] = {"ok": True} if status == "200" else {"error": f"said {status}"}
    headers = CIMultiDict({"Retry-After": wait} if wait else {})
    return Answer(int(status), headers, orjson.dumps(body))


class Prescribed(Ingestion):
    """Answers a request by what is prescribed for the key of its first event; without more, with 200."""

    def __init__(self, clock: ManualClock, script: Mapping[str, Sequence[str]]) -> None:
        super().__init__(IngestionSettings(url="http://127.0.0.1:1", api_key=SecretStr(KEY)))
        self.asked: list[Asked] = []
        self._clock = clock
        self._script = {key: list(words) for key, words in script.items()}

    async def post(self, body: bytes) -> Answer | NoAnswer:
        names = tuple(each["name"] for each in orjson.loads(body)["events"])
        words = self._script.get(names[0][0])
        word = words.pop(0) if words else "200"
        self.asked.append(Asked(self._clock.monotonic(), names, word))
        await self._clock.sleep(LATENCY)
        return reply(word)


async def play(
    script: Mapping[str, Sequence[str]], names: Sequence[str], *, seed: int = 1, **forwarder: int
) -> tuple[list[Asked], Shop]:
    """Feed the events, and let time pass until all of them are finished."""
    clock = ManualClock(start=1_000.0)
    ingestion = Prescribed(clock, script)
    settings = ForwarderSettings.model_validate({"max_batch_wait_ms": 0, "max_batch_events": 1, **forwarder})
    sink = Sink()
    sink.url = "http://127.0.0.1:1"
    shop = Shop(sink, ingestion, clock, settings, seed, NAME, Origin(None, clock))
    shop.feed(*names)
    for _ in range(200_000):
        for _ in range(10):
            await asyncio.sleep(0)
        if shop.finished:
            break
        await shop.advance(STEP)
    assert shop.finished
    assert not shop.failures
    return ingestion.asked, shop


def of(key: str, asked: Sequence[Asked]) -> list[tuple[str, str]]:
    return [(each.names[0], each.answer) for each in asked if each.names[0][0] == key]


@pytest.mark.parametrize(
    "words",
    [
        ["500", "500"],
        ["503", "timeout", "reset"],
        ["408", "html", "502", "504"],
        ["429", "429"],
        ["429/30"],
        ["503/30"],
        ["403", "403", "403"],
        ["401"],
        ["404", "302", "405", "410"],
        ["500"] * 9,
    ],
)
async def test_a_key_is_answered_as_prescribed_and_what_stands_behind_it_comes_after(words: list[str]) -> None:
    asked, shop = await play({"a": words}, ["a1", "b1", "a2", "b2", "a3"])
    assert of("a", asked) == [*[("a1", word) for word in words], ("a1", "200"), ("a2", "200"), ("a3", "200")]
    assert of("b", asked) == [("b1", "200"), ("b2", "200")]
    assert shop.committable() == (5, 5, 0)
    again, _ = await play({"a": words}, ["a1", "b1", "a2", "b2", "a3"])
    assert again == asked


async def test_backoff_is_jittered_and_bounded_and_other_keys_do_not_wait_for_it() -> None:
    asked, _ = await play({"a": ["500"] * 8}, ["a1", *[f"b{number}" for number in range(20)]])
    tries = [each.at for each in asked if each.names == ("a1",)]
    gaps = [after - before - LATENCY for before, after in pairwise(tries)]
    assert all(gap <= 0.1 * 2**number + STEP for number, gap in enumerate(gaps)), gaps
    assert len(set(gaps)) > 4, "jitter"
    others = [each.at for each in asked if each.names[0][0] == "b"]
    assert others[-1] - others[0] <= 19 * (LATENCY + STEP)


async def test_while_all_keys_fail_the_storefront_rests_with_one_probe_at_a_time_and_resumes_by_itself() -> None:
    keys = "abcdef"
    asked, shop = await play({key: ["500"] * 3 for key in keys}, [f"{key}{n}" for n in (1, 2) for key in keys])
    opened = next(index for index, each in enumerate(asked) if each.at > asked[0].at)
    probes = asked[opened : opened + 6]
    assert all(after.at - before.at > LATENCY for before, after in pairwise(probes)), "one at a time"
    assert shop.lines("storefront rests")[0]["reason"] == "outage"
    assert shop.count("forwarder_paused", reason="outage") == 0
    for key in keys:
        assert of(key, asked) == [*[(f"{key}1", "500")] * 3, (f"{key}1", "200"), (f"{key}2", "200")]


@pytest.mark.parametrize("seed", range(6))
async def test_any_sequences_for_many_keys_keep_order_and_every_retry_after(seed: int) -> None:
    chance = seeded(seed)
    vocabulary = ["500", "503", "503/7", "408", "429", "429/5", "403", "401", "404", "html", "timeout", "reset", "502"]
    keys = "abcdefghij"
    script = {key: chance.choices(vocabulary, k=chance.randint(0, 5)) for key in keys}
    names = [f"{key}{number}" for number in range(4) for key in keys]
    asked, shop = await play(script, names, seed=seed, max_batch_events=chance.choice([1, 1, 3]), max_in_flight=6)
    assert shop.committable() == (len(names), len(names), 0)
    first = list(dict.fromkeys(name for each in asked for name in each.names))
    for key in keys:
        assert [name for name in first if name[0] == key] == [f"{key}{number}" for number in range(4)]
    for each in asked:
        if "/" in each.answer:
            told = each.at + LATENCY
            until = told + float(each.answer.partition("/")[2])
            early = [other for other in asked if told < other.at < until - 1e-6]
            assert not early, (each, early)
    again, _ = await play(
        script, names, seed=seed, max_in_flight=6, max_batch_events=max(len(each.names) for each in asked)
    )
    assert again == asked
