"""Leases in a Redis: a random token beside a value, which whoever asks first gets.

No token is sent twice. What is sent may be under way for longer than its caller waits for it, and arrive when
the key has been dropped, and so the lease voided: a second `SET NX` with the same token, granted before that
drop, would be made good again by the first one after it, and what was read before the drop would be stored.
So who tries again brings other tokens, and who got no answer has no lease. A reservation that arrives late
grants a lease that nobody uses: others wait until it is given up, or ends, and nothing is stored with it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.backends.retry import TransientError
from greencache.backends.scripts import load_script
from greencache.errors import GreencacheError
from greencache.tiers.base import Lease
from greencache.tiers.owed import OwedLeases, may_have_run
from greencache.tiers.redis_inspection import chunks
from greencache.tiers.tokens import NOWHERE, new_tokens
from greencache.typing import Key, Seconds

__all__ = ["RedisLeases"]


class RedisLeases:
    """Grants leases.

    Args:
        manager: Talks to the server.
        names: What things are called there.
        lease_ms: Milliseconds after which a lease ends by itself.
        owed: Is told of leases that may have been granted without anybody hearing of it.
    """

    def __init__(self, manager: RedisManager, names: RedisNames, lease_ms: int, owed: OwedLeases) -> None:
        self._manager = manager
        self._owed = owed
        self._names = names
        self._lease_ms = lease_ms
        self._release = load_script("release").text

    def reserve(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases on the keys that nobody else has a lease on."""
        tokens, replies = self._ask(list(dict.fromkeys(keys)), partial=True)
        return self._granted(tokens, replies)

    def reserve_and_read(self, keys: Sequence[Key]) -> tuple[dict[Key, Lease], list[bytes | None]]:
        """Do the same, and return the bytes of all values, read after that: in one round trip.

        The server executes commands of one connection in their order.
        """
        reads = [(b"MGET", *chunk) for chunk in chunks(self._names.values(keys))]
        tokens, replies = self._ask(list(dict.fromkeys(keys)), reads)
        found: list[bytes | None] = [data for reply in replies[len(tokens) :] for data in reply]
        return self._granted(tokens, replies[: len(tokens)]), found

    def _ask(
        self, keys: Sequence[Key], reads: Sequence[tuple[Any, ...]] = (), *, partial: bool = False
    ) -> tuple[dict[Key, Lease], list[Any]]:
        """Return tokens and the replies to them, then those to reads; tries once more if none came."""
        now = self._manager.clock.now
        end = now() + self._manager.deadline
        tokens = new_tokens(keys)
        try:
            return tokens, self._send(tokens, {}, reads, None, partial=partial)
        except TransientError as failure:
            left = end - now()
            if not failure.may_have_run or left <= 0:
                raise
        again = new_tokens(keys)
        return again, self._send(again, tokens, reads, left, partial=partial)

    def _send(
        self,
        tokens: dict[Key, Lease],
        former: dict[Key, Lease],
        reads: Sequence[tuple[Any, ...]],
        deadline: Seconds | None,
        *,
        partial: bool,
    ) -> list[Any]:
        """Ask for leases, after former ones that may have been granted were given up, and then read."""
        lease, life = self._names.lease, self._lease_ms
        releases = [(b"EVAL", self._release, 1, lease(key), token) for key, token in former.items()]
        grants = [(b"SET", lease(key), token, b"NX", b"PX", life) for key, token in tokens.items()]
        with self._owed.if_asked_for(tokens):
            replies = self._manager.execute_many(
                [*releases, *grants, *reads], deadline=deadline, repeatable=False, partial=partial
            )
        return replies[len(releases) :]

    def _granted(self, tokens: dict[Key, Lease], replies: Sequence[Any]) -> dict[Key, Lease]:
        answers = dict(zip(tokens, replies, strict=True))
        lost = {key: tokens[key] for key, reply in answers.items() if isinstance(reply, GreencacheError)}
        self._owed.add({key: lease for key, lease in lost.items() if may_have_run(answers[key])})
        # Where a node is away, a lease is good nowhere, nobody else has one, and all load for themselves.
        return {key: NOWHERE if key in lost else tokens[key] for key, reply in answers.items() if reply}
