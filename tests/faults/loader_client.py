"""A process whose threads ask a cache for keys, with loaders that do what a test wants."""

import collections
import contextlib
import threading
import time
import traceback
from typing import NamedTuple

from greencache import CacheManager
from greencache.build import build
from greencache.config import CacheConfig
from greencache.testing import wait_until
from tests.faults.child import Child, peak_memory

__all__ = ["Answer", "Caller", "Load", "configured_cache"]

_LONGEST_HANG = 60.0


class Load(NamedTuple):
    """One call of the loader; times in seconds of the machine's monotonic clock."""

    key: str
    began: float
    ended: float


class Answer(NamedTuple):
    """What one call of the cache has returned: a value, or the name of the exception; and when."""

    key: str
    value: object
    began: float
    ended: float


def configured_cache(urls, *, lease_ttl=1.0, timeout=10.0, **options):
    """Return a cache whose time-outs a busy machine does not reach, and whose leases end soon.

    Args:
        urls: Of its tiers, by name.
        lease_ttl: Seconds.
        timeout: Seconds that a server may take.
        options: As of `CacheManager`.
    """
    server = {"lease_ttl": lease_ttl, "timeout": timeout, "deadline": 2 * timeout, "connect_timeout": timeout}
    tiers = {name: server | {"url": url} for name, url in urls.items()}
    config = CacheConfig.model_validate({"namespace": "faults", **tiers})
    return build(CacheManager, config, **options).initialize(strict=True)


class Caller(Child):
    """The parent's end of such a process.

    Args:
        urls: Of its cache.
        options: As of `configured_cache`.
    """

    def __init__(self, urls, **options):
        super().__init__(_run, urls, options)

    def call(self, key, how="return", threads=1, value="value", **options):
        """Let threads ask for a key, and do not wait for them.

        Args:
            key: What to ask for.
            how: What the loader does: "return" a value, "hang" until `release`, "raise" or "ask" the cache
                for `value` as a key.
            threads: How many of them.
            value: What the loader returns.
            options: As of `get_or_load`.
        """
        self.ask("call", key, how, threads, value, options)

    def release(self):
        """Let all loaders that hang, or will hang, go on."""
        self.ask("release")

    def hold(self):
        """Let loaders that hang wait for the next `release`."""
        self.ask("hold")

    def loads(self, key):
        """Return the loads of a key that have ended."""
        return [load for load in self.ask("loads") if load.key == key]

    def await_loading(self, key):
        """Wait until the loader of a key has begun."""
        wait_until(lambda: key in self.ask("loading"), reason=f"the load of {key} has begun")

    def await_asking(self, key, count):
        """Wait until so many calls for a key have begun."""
        wait_until(lambda: self.ask("asking").get(key, 0) >= count, reason=f"{count} calls ask for {key}")

    def await_answers(self, key, count, deadline=60):
        """Wait until so many calls for a key have returned, and return their answers."""

        def answers():
            found = [answer for answer in self.ask("answers") if answer.key == key]
            return found if len(found) >= count else None

        return wait_until(answers, deadline=deadline, reason=f"{count} calls for {key} have returned")

    def count(self, name):
        """Return the sum of one of the tiers' counts, such as "refused_fills"."""
        return self.ask("count", name)

    def read(self, key):
        """Return what the cache has of a key, without loading."""
        return self.ask("read", key)

    def memory(self):
        """Return the most bytes of memory that it has held."""
        return self.ask("memory")


class _Hands:
    def __init__(self, urls, options):
        self._cache = configured_cache(urls, **options)
        self._loads = []
        self._answers = []
        self._asking = collections.Counter()
        self._loading = collections.Counter()
        self._may_go_on = threading.Event()
        self._lock = threading.Lock()

    def call(self, key, how, threads, value, options):
        for _ in range(threads):
            arguments = (key, how, value, options)
            threading.Thread(target=self._call, args=arguments, daemon=True).start()

    def _call(self, key, how, value, options):
        began = time.monotonic()
        with self._lock:
            self._asking[key] += 1
        try:
            found = self._cache.get_or_load(key, lambda: self._load(key, how, value), **options)
        except Exception as error:
            found = type(error).__name__
        self._answers.append(Answer(key, found, began, time.monotonic()))

    def _load(self, key, how, value):
        began = time.monotonic()
        self._loading[key] += 1
        try:
            if how == "hang":
                self._may_go_on.wait(_LONGEST_HANG)
            elif how == "raise":
                raise LookupError(value)
            elif how == "ask":
                return self._cache.get_or_load(value, lambda: "inner")
            return value
        finally:
            self._loads.append(Load(key, began, time.monotonic()))

    def release(self):
        self._may_go_on.set()

    def hold(self):
        self._may_go_on.clear()

    def loads(self):
        return list(self._loads)

    def loading(self):
        return dict(self._loading)

    def asking(self):
        return dict(self._asking)

    def answers(self):
        return list(self._answers)

    def count(self, name):
        return sum(getattr(stats, name) for stats in self._cache.get_stats().tiers.values())

    def read(self, key):
        return self._cache.get(key)

    def memory(self):
        return peak_memory()


def _run(pipe, urls, options):
    try:
        hands = _Hands(urls, options)
        pipe.send("ready")
        with contextlib.suppress(EOFError):
            while True:
                name, *arguments = pipe.recv()
                pipe.send(getattr(hands, name)(*arguments))
    except BaseException:
        traceback.print_exc()
        raise
