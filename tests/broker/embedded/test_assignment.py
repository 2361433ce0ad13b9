"""Who should own what: even, stable, and the same whoever computes it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from broker.embedded.assignment import Share, assign


@st.composite
def groups(draw: st.DrawFn) -> tuple[list[Share], dict[int, int]]:
    """Topics of up to 9 partitions, members that subscribe to some of them, and owners from an earlier time."""
    members = draw(st.lists(st.integers(1, 20), min_size=1, max_size=5, unique=True).map(sorted))
    shares, first = [], 1
    for size in draw(st.lists(st.integers(1, 9), min_size=1, max_size=6)):
        interested = draw(st.lists(st.sampled_from(members), unique=True).map(sorted))
        shares.append(Share(range(first, first + size), interested))
        first += size
    owners = draw(st.dictionaries(st.integers(1, first - 1), st.integers(1, 25)))
    return shares, owners


@given(groups())
def test_each_topic_is_spread_evenly_over_those_who_want_it(group: tuple[list[Share], dict[int, int]]) -> None:
    shares, owners = group
    wanted = assign(shares, owners)
    for share in shares:
        owned = Counter(dict.fromkeys(share.members, 0))
        owned.update(wanted[partition] for partition in share.partitions if partition in wanted)
        assert owned.keys() == set(share.members)
        if share.members:
            assert owned.total() == len(share.partitions)
            assert max(owned.values()) - min(owned.values()) <= 1


@given(groups())
def test_it_settles_whoever_acts_first(group: tuple[list[Share], dict[int, int]]) -> None:
    shares, owners = group
    wanted = assign(shares, owners)
    # Owners give up what is not theirs to keep, one after the other; each time everybody computes anew.
    for partition, owner in sorted(owners.items()):
        if wanted.get(partition) != owner:
            del owners[partition]
            assert assign(shares, owners) == wanted
    for partition, member in sorted(wanted.items()):
        owners.setdefault(partition, member)
        assert assign(shares, owners) == wanted
    assert owners == wanted


def test_nothing_moves_that_need_not() -> None:
    shares = [Share(range(1, 7), [10, 20])]
    assert assign(shares, dict.fromkeys(range(1, 7), 10)) == {1: 10, 2: 10, 3: 10, 4: 20, 5: 20, 6: 20}
    assert assign([Share(range(1, 7), [20])], {4: 20, 5: 20, 6: 20}) == dict.fromkeys(range(1, 7), 20)


def test_many_small_topics_are_spread_too() -> None:
    owners = assign([Share([partition], [1, 2, 3]) for partition in range(1, 31)], {})
    assert Counter(owners.values()) == {1: 10, 2: 10, 3: 10}
