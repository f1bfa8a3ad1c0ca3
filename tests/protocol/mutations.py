"""The guards of the protocol, each taken out in turn.

A mutation is a patch of the real code, or of a double where the guard is the server's, and the scenarios in
which somebody must notice.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from unittest import mock

from greencache.coherence import Coherence
from greencache.flight import FlightTable
from greencache.loading import EntryMaker
from greencache.receiver import Receiver
from greencache.stamps import StampTable
from greencache.strategies import Descent, Strategy
from greencache.testing import DoubleRedisTier
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier

from . import patches
from .bus import Ear


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A guard, taken out.

    Args:
        patches: What to replace: owner, name, and the replacement.
        scenarios: Where that must show.
    """

    patches: Sequence[tuple[object, str, object]]
    scenarios: Sequence[str]

    @contextlib.contextmanager
    def applied(self):
        """Leave the guard out while this lasts."""
        with contextlib.ExitStack() as stack:
            for owner, name, replacement in self.patches:
                stack.enter_context(mock.patch.object(owner, name, replacement))
            yield


MUTATIONS = {
    "a fill of L1 ignores its lease": Mutation(
        [(MemoryTier, "fill_many", patches.fill_anyway)],
        ["load, key, within a process", "get, key, on two hosts"],
    ),
    "a fill of Redis ignores its lease": Mutation(
        [(DoubleRedisTier, "_fill", patches.store_anyway)],
        ["load, key, within a process", "load, key, on two hosts"],
    ),
    "a drop in L1 voids no lease": Mutation(
        [patches.keeping_leases(MemoryTier, "drop_many")],
        ["load, key, within a process", "get, key, on two hosts"],
    ),
    "a pattern in L1 voids no lease": Mutation(
        [patches.keeping_leases(MemoryTier, "_drop_where")],
        ["load, pattern, L1 alone", "load, pattern, on two hosts"],
    ),
    "a drop in Redis voids no lease": Mutation(
        [(DoubleRedisTier, "_drop", patches.drop_keeping_lease)],
        ["load, key, on two hosts"],
    ),
    "a pattern in Redis voids no leases of keys without a value": Mutation(
        [(DoubleRedisTier, "_unlink_leases", patches.nothing)],
        ["load, pattern, on two hosts"],
    ),
    "a drop in Redis removes the value before the lease": Mutation(
        [(DoubleRedisTier, "_drop", patches.drop_value_then_lease)], ["load, key, on two hosts"]
    ),
    "a drop in Redis removes the lease before the value": Mutation(
        [(DoubleRedisTier, "_drop", patches.drop_lease_then_value)],
        ["failing reload, key, on two hosts"],
    ),
    "a put in L1 voids no lease": Mutation(
        [patches.keeping_leases(MemoryTier, "put_many")], ["load, set, L1 alone"]
    ),
    "a put in Redis voids no lease": Mutation(
        [(DoubleRedisTier, "put_many", patches.put_keeping_leases)], ["load, set, on two hosts"]
    ),
    "drops go downward": Mutation(
        [(Strategy, "drop", patches.drop_downward)], ["get, key, within a process"]
    ),
    "drops of patterns go downward": Mutation(
        [(Strategy, "drop_matching", patches.drop_matching_downward)], ["get, pattern, within a process"]
    ),
    "what others dropped is dropped downward": Mutation(
        [(Receiver, "_receive_drop", patches.receive_downward)], ["get, key, on two hosts"]
    ),
    "puts go downward": Mutation(
        [(Strategy, "_put_upward", patches.put_downward)], ["set and set, within a process"]
    ),
    "a writer whose fill is refused leaves what is there": Mutation(
        [(Strategy, "_follow", patches.follow_without_drop)],
        ["set and set, within a process", "set and set, on one host"],
    ),
    "flights are not detached": Mutation(
        [(FlightTable, "detach", patches.nothing)],
        ["load, key, L1 alone"],
    ),
    "leases of L1 are taken after reading below": Mutation(
        [(Strategy, "descend", patches.descend_without_memory)], ["get, key, on one host"]
    ),
    "stamps are read after the load": Mutation(
        [(EntryMaker, "finish", patches.finish_with_later_stamps)],
        ["load, tag, on two hosts", "load, tag, within a process"],
    ),
    "stamps of late tags are taken as they are": Mutation(
        [(StampTable, "since", patches.stamps_of_now)],
        ["tagging load, tag, on two hosts", "tagging load, tag, L1 alone"],
    ),
    "the stamp of any tag is replaced last": Mutation(
        [(StampTable, "mint", staticmethod(patches.mint_any_tag_last))],
        ["tagging load, tag, on two hosts, unknown"],
    ),
    "stamps are not compared": Mutation(
        [(GuardedTier, "look", patches.look_believing)],
        ["get, tag, within a process", "get, clear, on two hosts"],
    ),
    "L1 does not compare stamps when it is filled": Mutation(
        [(MemoryTier, "_is_revoked", lambda *_: False)],
        ["load, tag, within a process", "load, clear, L1 alone"],
    ),
    "L1 admits the stamps that were announced": Mutation(
        [(StampTable, "expect", patches.expect_admitting)], ["load, tag twice elsewhere, unknown"]
    ),
    "announced stamps are believed": Mutation(
        [(StampTable, "expect", patches.expect_believing)], ["get and load, tag twice elsewhere"]
    ),
    "an outdated answer about stamps is remembered": Mutation(
        [(StampTable, "_read", patches.read_remembering)], ["get, tag twice elsewhere, unknown"]
    ),
    "stamps are forgotten here before they are replaced at the authority": Mutation(
        [(Coherence, "_restamp", patches.restamp_here_first)], ["get, tag, within a process"]
    ),
    "changes of stamps reach L1 unnumbered": Mutation(
        [(MemoryTier, "replace_stamps", patches.replace_unnumbered)], ["load, tag twice, L1 alone"]
    ),
    "nothing is announced": Mutation(
        [(Ear, "publish", patches.announce_nothing)], ["get, key, on two hosts", "load, set, on two hosts"]
    ),
    "stamps are not announced": Mutation(
        [(Ear, "publish", patches.announce_no_stamps)], ["get, tag, on two hosts"]
    ),
    "nobody looks again after winning the lease": Mutation(
        [(Strategy, "reserve", patches.reserve_without_second_look)], ["two loads, on two hosts"]
    ),
    "leases are not given up": Mutation(
        [(Descent, "__exit__", patches.release_nothing)], ["get, key, on two hosts", "load, key, on one host"]
    ),
}
