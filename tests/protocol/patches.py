"""What the real code is replaced by, to take one guard out of it."""

import copy
import dataclasses
from collections.abc import Callable
from unittest import mock

from greencache.bus.base import Message, MessageKind
from greencache.loading import EntryMaker
from greencache.stamps import StampTable
from greencache.strategies import Dropped, Strategy
from greencache.testing import DoubleRedisTier
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier
from greencache.tiers.pending import Pending

from .bus import Ear


def keeping_leases(owner: type, method: str) -> tuple[type, str, Callable]:
    """Return a patch of a method of `MemoryTier` that voids no lease."""
    original = getattr(owner, method)

    def keeping(self, *args):
        kept = {key: list(lease) for key, lease in self._leases.items()}
        answer = original(self, *args)
        self._leases.update(kept)
        return answer

    return (owner, method, keeping)


def fill_anyway(self, entries, leases):
    """Store in L1 without looking at the lease."""
    with mock.patch.object(self, "_is_good", return_value=True):
        return _FILL_MEMORY(self, entries, leases)


_FILL_MEMORY = MemoryTier.fill_many


def store_anyway(self, key, entry, token):
    """Store in Redis without looking at the lease."""
    with self.server.lock:
        self._store(key, entry)
        self.server.leases.pop((self._namespace, key), None)
    return True


def put_keeping_leases(self, entries):
    """Put into Redis, and let leases stand."""
    held = dict(self.server.leases)
    stored = _PUT_REDIS(self, entries)
    self.server.leases.update(held)
    return stored


_PUT_REDIS = DoubleRedisTier.put_many


def drop_value_then_lease(self, key):
    """Drop in Redis in two steps."""
    removed = _drop_value(self, key)
    self.server.between_commands()
    self._unlink_leases([key])
    return removed


def drop_lease_then_value(self, key):
    """Drop in Redis in two steps, the lease first."""
    self._unlink_leases([key])
    self.server.between_commands()
    return _drop_value(self, key)


def _drop_value(self, key):
    with self.server.lock:
        self.server.changes += 1
        return self.server.values.pop((self._namespace, key), None) is not None


def drop_keeping_lease(self, key):
    """Drop in Redis, and let the lease stand."""
    return _drop_value(self, key)


def drop_downward(self, stack, keys, *, is_refresh=False):
    """Drop from L1 to the deepest tier."""
    outcome = Dropped()
    if stack.memory is not None:
        outcome.note(stack.memory, stack.memory.drop_many(keys))
    for tier in stack.shared:
        outcome.note(tier, tier.drop_many(keys))
    return outcome


def drop_matching_downward(self, stack, pattern, *, is_refresh=False):
    """Drop what matches from L1 to the deepest tier."""
    outcome = Dropped()
    if stack.memory is not None:
        outcome.note(stack.memory, stack.memory.drop_matching(pattern))
    for tier in stack.shared:
        outcome.note(tier, tier.drop_matching(pattern))
    return outcome


def receive_downward(self, keys, tiers):
    """Drop what others have dropped from L1 to the host's tiers."""
    self._stack.memory.drop_many(keys)
    for tier in tiers:
        tier.drop_many(keys)
    self._flights.detach(keys)


def put_downward(self, _stack, entries, targets, *rest):
    """Put from L1 to the deepest tier, leases or not."""
    for tier in targets:
        rest[-1].note(tier, len(tier.put_many(entries) or ()))


def follow_without_drop(self, tier, entries, leases, outcome):
    """Fill, and leave what is there where that is refused."""
    for key in tier.fill_many(entries, leases):
        leases.pop(key, None)


def descend_without_memory(self, stack, keys, descent, *, elector=None):
    """Take the leases of L1 only when everything below has been read."""
    keys = list(keys)
    hidden = copy.copy(stack)
    hidden.memory = None
    _DESCEND(self, hidden, keys, descent, elector=elector)
    descent.leases.insert(0, (stack.memory, dict(stack.memory.reserve_many(keys))))


_DESCEND = Strategy.descend


def reserve_without_second_look(self, tier, keys, descent, *, elector):
    """Take leases, and trust that nothing has come since the look."""
    leases = tier.reserve_many(keys)
    descent.leases.append((tier, leases))
    if tier is elector:
        descent.elsewhere.update(key for key in keys if key not in leases)
        descent.elsewhere.difference_update(leases)


def finish_with_later_stamps(self, prospect, values, options):
    """Read the stamps when the source has been read."""
    later = dataclasses.replace(prospect, stamps=self._stamps.before_load(options.tags))
    return _FINISH(self, later, values, options)


_FINISH = EntryMaker.finish


def stamps_of_now(self, _before, tags):
    """Take the stamps of late tags as they are."""
    return dict(self.current(tags))


def mint_any_tag_last(tags):
    """Replace the stamp of any tag when all others have been."""
    stamps = _MINT(tags)
    return {tag: stamps[tag] for tag in reversed(stamps)}


_MINT = StampTable.mint


def expect_believing(self, stamps):
    """Take an announced stamp for the current one."""
    with self._lock:
        self._changes += 1
        number = self._changes
        self._tokens.update(stamps)
        self._confirmed.update(dict.fromkeys(stamps, self._clock.now()))
    self._on_changed(stamps, number)


def expect_admitting(self, stamps):
    """Let L1 take what carries an announced stamp, current or not."""
    with self._lock:
        self._changes += 1
        number = self._changes
        for tag in stamps:
            self._tokens.pop(tag, None)
            self._confirmed.pop(tag, None)
    self._on_changed(stamps, number)


def read_remembering(self, tags):
    """Remember stamps although others were announced while they were read."""
    asked = self._clock.now()
    read = self._read_from(self.keepers, tags)
    with self._lock:
        self._changes += 1
        number = self._changes
        changed = {tag: token for tag, token in read.items() if self._tokens.get(tag) != token}
        self._tokens.update(read)
        self._confirmed.update(dict.fromkeys(read, asked))
    if changed:
        self._on_changed(changed, number)
    return read


def restamp_here_first(self, tags, outcome):
    """Forget stamps here before they are replaced at the authority."""
    stamps = self._stamps.mint(tags)
    self._stamps.expect(stamps)
    for keeper in self._stack.stamp_keepers:
        outcome.note(keeper, keeper.replace_stamps(stamps))
    self._flights.detach_where(lambda _: True)
    return self._announce(Message(MessageKind.STAMP, stamps=stamps), Pending(stamps=stamps), outcome)


def replace_unnumbered(self, stamps, number):
    """Tell L1 of changes in the order in which they reach it."""
    self._revoked = {tag: (0, token) for tag, (_, token) in self._revoked.items()}
    return _REPLACE(self, stamps, 1)


_REPLACE = MemoryTier.replace_stamps


def nothing(*_, **__):
    """Do nothing."""


def look_believing(self, keys):
    """Take every entry of a tier for current."""
    self._current_among = lambda batch: batch
    return _LOOK(self, keys)


_LOOK = GuardedTier.look


def announce_nothing(self, message):
    """Tell nobody."""
    return 0


def announce_no_stamps(self, message):
    """Tell others of keys and patterns alone."""
    return 0 if message.kind is MessageKind.STAMP else _PUBLISH(self, message)


_PUBLISH = Ear.publish


def release_nothing(self, *_):
    """Keep the leases that were not used."""
    self.leases.clear()
