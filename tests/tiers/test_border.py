"""Where entries become bytes."""

import math

from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.events import NullRecorder
from greencache.stats import TierCounters
from greencache.testing import FakeClock
from greencache.tiers.border import Border
from greencache.typing import CacheTier


class CountingClock(FakeClock):
    """A clock that counts how often it is read."""

    readings = 0

    def wall(self):
        """Return the time of day."""
        self.readings += 1
        return super().wall()


def border_at(clock):
    """Return a border, and what it counts."""
    counters = TierCounters()
    codec = Codec(clock=clock)
    made = Border(
        CacheTier.L2, codec, namespace="ns", max_size=1000, counters=counters, recorder=NullRecorder()
    )
    return made, counters


def test_what_is_no_entry_of_its_key_is_left_out_and_counted():
    """One that is damaged, or was written for another key, keeps no other from being read."""
    border, counters = border_at(FakeClock())
    encoded = border.encode_put({key: Entry(key, math.inf) for key in "abc"})
    replies = [("a", encoded["a"]), ("b", b"junk"), ("x", encoded["c"]), ("d", None), ("c", encoded["c"])]
    assert {key: entry.value for key, entry in border.decode(replies).items()} == {"a": "a", "c": "c"}
    assert counters.undecodable == 2


def test_the_entries_of_a_batch_are_as_of_one_moment():
    """The clocks are read once for all, and the times come out as they went in."""
    clock = CountingClock()
    border, _ = border_at(clock)
    until = clock.now() + 60.0
    encoded = border.encode_put({key: Entry(key, until) for key in "abc"})
    before = clock.readings
    assert {entry.fresh_until for entry in border.decode(encoded.items()).values()} == {until}
    assert clock.readings == before + 1
