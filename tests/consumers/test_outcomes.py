from __future__ import annotations

from typing import Any

import orjson
import pytest
from multidict import CIMultiDict

from consumers.api.answers import MAX_WORDS, Answer, NoAnswer
from consumers.api.outcomes import Action, Kind, Outcome, classify

KEY = "tolk_sec_0123456789"
NOW = 1_445_412_000.0  # Wed, 21 Oct 2015 07:20:00 GMT
HTML = b"<html><body><h1>Sign in to continue</h1></body></html>"


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status, named, body if isinstance(body, bytes) else orjson.dumps(body))


def judged(status: int, body: Any = None, sent: int = 3, **headers: str) -> Outcome:
    return classify(answer(status, body, **headers), sent, NOW, KEY)


def error(text: str, code: str | None = None) -> dict[str, str]:
    return {"error": text} if code is None else {"error": text, "code": code}


@pytest.mark.parametrize(
    "body",
    [
        {"ok": True},
        {"ok": True, "accepted": 3},
        {"ok": True, "accepted": 3, "errors": []},
        {"ok": True, "accepted": 3, "errors": None},
        {"ok": True, "accepted": True},
        {"ok": True, "accepted": "3", "more": {}},
    ],
)
def test_ok_without_errors_delivers_everything(body: Any) -> None:
    assert judged(200, body) == Outcome(Kind.DELIVERED, Action.SETTLE)


@pytest.mark.parametrize("accepted", [0, 2, 4, -1])
def test_accepted_decides_nothing(accepted: int) -> None:
    outcome = judged(200, {"ok": True, "accepted": accepted})
    assert outcome == Outcome(Kind.DELIVERED, Action.SETTLE, mismatch=True)


def test_exactly_the_events_that_errors_names_are_refused_with_the_words_about_each() -> None:
    errors = ["events[2]: revenue is required for purchase events", "events[0]: items[0].item_id is required"]
    outcome = judged(200, {"ok": True, "accepted": 1, "errors": errors})
    assert outcome.kind is Kind.PARTLY_REFUSED
    assert outcome.action is Action.SETTLE
    assert outcome.refused == {2: "revenue is required for purchase events", 0: "items[0].item_id is required"}
    assert not outcome.mismatch


def test_all_may_be_refused() -> None:
    outcome = judged(200, {"ok": True, "accepted": 0, "errors": [f"events[{n}]: no" for n in range(3)]})
    assert set(outcome.refused) == {0, 1, 2}


@pytest.mark.parametrize(
    "errors",
    [
        ["events[3]: out of range"],
        ["events[99999]: out of range"],
        ["events[-1]: negative"],
        ["events[1]: twice", "events[1]: twice"],
        ["events[1]: fine", "something else"],
        ["event 1 is bad"],
        ["Events[1]: other case"],
        ["events[\u0661]: not our digits"],
        [None],
        [{"index": 1, "error": "an object"}],
        ["events[0]: a", "events[1]: b", "events[2]: c", "events[3]: d"],
        "events[0]: a string",
        {"0": "an object"},
        7,
        True,
    ],
)
def test_errors_that_cannot_be_read_for_sure_are_never_guessed_at(errors: Any) -> None:
    outcome = judged(200, {"ok": True, "accepted": 1, "errors": errors})
    assert (outcome.kind, outcome.action, outcome.refused) == (Kind.UNCLEAR, Action.HALVE, {})


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        (["events[0]: no"], "no"),
        (["events[7]: no"], "no"),
        (["no"], "no"),
        (["events[0]: one", "events[0]: two"], "one; two"),
        ("no", "no"),
        ([{"index": 0, "error": "no"}], "no"),
        ([{"why": "no"}], '{"ok":true,"errors":[{"why":"no"}]}'),
        (True, '{"ok":true,"errors":true}'),
    ],
)
def test_a_single_event_is_what_any_errors_are_about(errors: Any, words: str) -> None:
    outcome = judged(200, {"ok": True, "errors": errors}, sent=1)
    assert (outcome.action, outcome.refused) == (Action.SETTLE, {0: words})


QUOTA = "Ecommerce event quota exceeded"
FREE_TIER = "Ecommerce events are not available on the free tier"


@pytest.mark.parametrize(("words", "kind", "pause"), [(QUOTA, Kind.QUOTA, "quota"), (FREE_TIER, Kind.PLAN, "plan")])
def test_events_refused_for_want_of_quota_or_plan_are_held_and_never_dead_lettered(
    words: str, kind: Kind, pause: str
) -> None:
    outcome = judged(200, {"ok": True, "accepted": 1, "errors": [f"events[2]: {words}", "events[0]: no revenue"]})
    assert (outcome.kind, outcome.action, outcome.pause) == (kind, Action.SETTLE, pause)
    assert outcome.held == {2}
    assert outcome.refused == {0: "no revenue"}
    assert outcome.words == words
    assert not outcome.mismatch
    alone = judged(200, {"ok": True, "accepted": 0, "errors": [f"events[0]: {words}."]}, sent=1)
    assert (alone.kind, alone.held, alone.refused) == (kind, frozenset({0}), {})


@pytest.mark.parametrize(
    "errors",
    [
        [QUOTA, QUOTA],
        ["events[0]: revenue is required for purchase events", f"events[0]: {QUOTA}"],
        [{"index": 0, "error": QUOTA, "code": "USAGE_EXCEEDED"}],
        QUOTA,
    ],
)
def test_want_of_quota_holds_an_event_however_it_is_written(errors: Any) -> None:
    outcome = judged(200, {"ok": True, "errors": errors}, sent=1)
    assert (outcome.pause, set(outcome.held)) == ("quota", {0})
    assert outcome.refused == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"ok":true,"errors":' + b"[" * 600 + b"]" * 600 + b"}",
        {"error": "No", "code": ["USAGE_EXCEEDED"]},
        {"error": "No", "code": {}},
        {"error": {"message": "No"}},
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403, 413, 429, 500])
def test_whatever_is_answered_has_an_outcome(status: int, body: Any) -> None:
    """One storefront's odd answer once ended the process, and with it everybody's forwarding."""
    for sent in (1, 3):
        assert judged(status, body, sent=sent).action in Action


def test_only_the_seeds_own_words_hold_a_single_event() -> None:
    outcome = judged(200, {"ok": True, "errors": ["events[0]: items[0].item_name 'quota exceeded' is too long"]})
    assert (outcome.kind, set(outcome.refused)) == (Kind.PARTLY_REFUSED, {0})
    assert not outcome.held


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b"",
        b"\xff\xfe",
        {"ok": False},
        {"ok": 1},
        {"ok": "true"},
        {"accepted": 3},
        [],
        [{"ok": True}],
        "ok",
        None,
        {},
    ],
)
def test_a_200_that_is_not_the_apis_is_no_delivery(body: Any) -> None:
    outcome = judged(200, body)
    assert (outcome.kind, outcome.action, outcome.in_doubt) == (Kind.NOT_THE_API, Action.RETRY, True)


@pytest.mark.parametrize(
    ("status", "body", "kind", "action", "pause"),
    [
        (201, {"ok": True}, Kind.NOT_THE_API, Action.RETRY, None),
        (202, {"ok": True}, Kind.NOT_THE_API, Action.RETRY, None),
        (204, b"", Kind.NOT_THE_API, Action.RETRY, None),
        (301, b"", Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (302, {"ok": True}, Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (308, b"", Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (400, error("No", "USAGE_EXCEEDED"), Kind.QUOTA, Action.PAUSE, "quota"),
        (400, error(QUOTA), Kind.QUOTA, Action.PAUSE, "quota"),
        (422, error("No", "FEATURE_GATED"), Kind.PLAN, Action.PAUSE, "plan"),
        (400, error("Maximum 100 events per batch"), Kind.REFUSED, Action.HALVE, None),
        (400, HTML, Kind.REFUSED, Action.HALVE, None),
        (401, error("Invalid API key"), Kind.AUTH, Action.PAUSE, "auth"),
        (402, error("Payment required"), Kind.PLAN, Action.PAUSE, "plan"),
        (403, error("Ecommerce events are not available on the free tier"), Kind.PLAN, Action.PAUSE, "plan"),
        (403, error("No", "FEATURE_GATED"), Kind.PLAN, Action.PAUSE, "plan"),
        (403, error("No", "APPSPACE_FROZEN"), Kind.PLAN, Action.PAUSE, "plan"),
        (403, error("No", "USAGE_EXCEEDED"), Kind.QUOTA, Action.PAUSE, "quota"),
        (403, error("No", "SOMETHING_NEW"), Kind.AUTH, Action.PAUSE, "auth"),
        (403, b"", Kind.AUTH, Action.PAUSE, "auth"),
        (403, HTML, Kind.NOT_THE_API, Action.ISOLATE, None),
        (403, {"message": "Forbidden"}, Kind.NOT_THE_API, Action.ISOLATE, None),
        (404, HTML, Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (405, b"", Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (406, error("No"), Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (406, HTML, Kind.NOT_THE_API, Action.ISOLATE, None),
        (408, b"", Kind.SERVER_ERROR, Action.RETRY, None),
        (409, b"", Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (410, b"", Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (413, HTML, Kind.TOO_LARGE, Action.HALVE, None),
        (415, b"", Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
        (422, error("No"), Kind.REFUSED, Action.HALVE, None),
        (425, b"", Kind.SERVER_ERROR, Action.RETRY, None),
        (429, error("Ecommerce event quota exceeded"), Kind.QUOTA, Action.PAUSE, "quota"),
        (429, error("No", "USAGE_EXCEEDED"), Kind.QUOTA, Action.PAUSE, "quota"),
        (429, error("No", "QUOTA_EXCEEDED"), Kind.QUOTA, Action.PAUSE, "quota"),
        (429, error("Request quota of this minute used up"), Kind.RATE, Action.PAUSE, "rate"),
        (429, error("Too many requests. Please slow down."), Kind.RATE, Action.PAUSE, "rate"),
        (429, HTML, Kind.RATE, Action.PAUSE, "rate"),
        (500, error("oops"), Kind.SERVER_ERROR, Action.RETRY, None),
        (501, b"", Kind.SERVER_ERROR, Action.RETRY, None),
        (503, {"ok": True}, Kind.SERVER_ERROR, Action.RETRY, None),
        (599, b"", Kind.SERVER_ERROR, Action.RETRY, None),
        (999, b"", Kind.MISDIRECTED, Action.PAUSE, "misdirected"),
    ],
)
def test_each_status_has_its_outcome(status: int, body: Any, kind: Kind, action: Action, pause: str | None) -> None:
    outcome = judged(status, body)
    assert (outcome.kind, outcome.action, outcome.pause) == (kind, action, pause)
    assert outcome.refused == {}


@pytest.mark.parametrize(
    ("status", "doubt"),
    [(500, False), (502, True), (503, False), (504, True), (520, True), (522, False), (524, True), (429, False)],
)
def test_a_gateways_word_leaves_it_in_doubt_what_the_api_did(status: int, doubt: bool) -> None:  # noqa: FBT001 - a column of the table
    assert judged(status, b"").in_doubt is doubt


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "17", 17),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", 480),
        (429, "86400", 3600),
        (429, "tomorrow", 0),
        (503, "17", 17),
        (503, "86400", 3600),
        (502, "86400", 3600),
        (403, "17", 17),
        (301, "17", 17),
        (200, "17", 17),
        (400, "17", 0),
    ],
)
def test_retry_after_is_read_and_bounded(status: int, header: str, seconds: float) -> None:
    assert judged(status, b"", Retry_After=header).retry_after == pytest.approx(seconds)
    assert judged(status, b"", retry_after=header).retry_after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("missing", "kind"),
    [
        (NoAnswer(timed_out=True, sent=True, words="30 s"), Kind.TIMEOUT),
        (NoAnswer(timed_out=True, sent=False, words="5 s"), Kind.TIMEOUT),
        (NoAnswer(timed_out=False, sent=True, words="reset"), Kind.CONNECTION),
        (NoAnswer(timed_out=False, sent=False, words="refused"), Kind.CONNECTION),
    ],
)
def test_no_answer_is_tried_again_and_in_doubt_once_it_was_sent(missing: NoAnswer, kind: Kind) -> None:
    outcome = classify(missing, 3, NOW)
    assert (outcome.kind, outcome.action, outcome.in_doubt) == (kind, Action.RETRY, missing.sent)
    assert outcome.words == missing.words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (error("Invalid ecommerce event_type"), "Invalid ecommerce event_type"),
        (error("x" * 5000), "x" * MAX_WORDS),
        (b" not json ", "not json"),
        ("é".encode() * 5000, "é" * MAX_WORDS),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"", "HTTP status 400 without a body"),
        ({"error": 7}, '{"error":7}'),
    ],
)
def test_the_apis_words_are_kept_as_far_as_they_are_bearable(body: Any, words: str) -> None:
    assert judged(400, body).words == words
    assert judged(200, {"ok": True, "errors": ["events[1]: " + "x" * 5000]}).refused == {1: "x" * MAX_WORDS}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f"Invalid key {KEY}!", "Invalid key [key]!"),
        ("x" * (MAX_WORDS - 10) + KEY, "x" * (MAX_WORDS - 10) + "[key]"),
        (" " * 5000 + KEY * 2, "[key][key]"),
    ],
)
def test_our_key_is_cut_out_of_whatever_is_said_before_that_is_cut(said: str, words: str) -> None:
    assert judged(401, error(said)).words == words
    assert judged(502, said.encode()).words == words
    assert judged(200, {"ok": True, "errors": [f"events[2]: {said}"]}).refused == {2: words}
    assert judged(200, {"ok": True, "errors": [said]}, sent=1).refused == {0: words}
    missing = NoAnswer(timed_out=False, sent=True, words=said)
    assert classify(missing, 3, NOW, KEY).words == words
