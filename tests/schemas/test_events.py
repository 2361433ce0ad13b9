"""The quick half of validation and the telling half hold the same rules."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.currencies import CURRENCIES, is_currency
from schemas.events import EVENT_NUMBERS, EVENT_TEXTS, EVENT_TYPES, ITEM_NUMBERS, ITEM_TEXTS, AnyEvent
from schemas.judge import fault

decode = msgspec.json.Decoder(AnyEvent).decode

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
anything = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3))
)
texts = st.one_of(st.text(max_size=5), st.none(), anything)
numbers = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5), st.none(), anything)
currencies = st.one_of(st.sampled_from(sorted(CURRENCIES)), st.just("ZZZ"), st.none(), anything)
items = st.one_of(
    st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {"item_id": st.one_of(st.text(), texts)},
                optional={
                    **dict.fromkeys(ITEM_TEXTS, texts),
                    **dict.fromkeys(ITEM_NUMBERS, numbers),
                    "currency": currencies,
                    "other": anything,
                },
            ),
            anything,
        ),
        max_size=3,
    ),
    st.none(),
    anything,
)
events = st.fixed_dictionaries(
    {},
    optional={
        "event_type": st.one_of(st.sampled_from(EVENT_TYPES), texts),
        **dict.fromkeys(EVENT_TEXTS, texts),
        **dict.fromkeys(EVENT_NUMBERS, numbers),
        "currency": currencies,
        "items": items,
        "properties": st.one_of(st.dictionaries(st.text(), scalars, max_size=3), anything),
        "other": anything,
    },
)


def decodes(event: object) -> bool:
    try:
        decode(orjson.dumps(event))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


@given(events)
@settings(max_examples=500, deadline=None)
def test_the_typed_decode_and_the_judge_agree(event: dict[str, Any]) -> None:
    event = orjson.loads(orjson.dumps(event))
    assert decodes(event) == (fault(event) is None)


def test_currencies_in_small_letters_are_left_to_the_judge() -> None:
    event = {"event_type": "view_cart", "currency": "eur"}
    assert fault(event) is None
    assert not decodes(event)


def test_currencies_in_force_and_withdrawn() -> None:
    assert all(map(is_currency, ("EUR", "USD", "JPY", "DEM", "HRK", "XCG", "ZWG", "usd")))
    assert not any(map(is_currency, ("", "EURO", "ZZZ", "€", "\N{LATIN SMALL LETTER LONG S}EK")))
    assert all(len(code) == 3 and code.isupper() for code in CURRENCIES)


def test_identity_of_each_type_is_at_hand() -> None:
    for kind in EVENT_TYPES:
        event = decode(
            orjson.dumps(
                {"event_type": kind, "transaction_id": "t", "user_id": "u", "revenue": 1, "items": [{"item_id": "i"}]}
            )
        )
        assert (event.event_type, event.user_id, event.transaction_id) == (kind, "u", "t")
