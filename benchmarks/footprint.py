"""What greencache takes before it does anything: memory for an entry beside its value, and time to import."""

import statistics
import subprocess
import sys
from typing import Any, Final

__all__ = ["entry_bytes", "heavy_imports", "import_ratio"]

_HEAVY: Final = ("redis", "psycopg", "pydantic", "asyncio")

_GROWTH = """
import sys, time, tracemalloc
keys = [f"factor:region{number}:co2" for number in range(40_000)]
if sys.argv[1] == "greencache":
    from greencache import CacheManager
    from greencache.tiers.memory import MemoryTier
    cache = CacheManager([MemoryTier(500_000_000)])
    store = lambda key: cache.set(key, 1.0, ttl=3600)
else:
    import cachetools
    cache = cachetools.TTLCache(50_000, 3600)
    store = lambda key: cache.__setitem__(key, 1.0)
for key in keys[:100]:
    store(key)
tracemalloc.start()
before = tracemalloc.get_traced_memory()[0]
for key in keys[100:]:
    store(key)
print((tracemalloc.get_traced_memory()[0] - before) / (len(keys) - 100))
"""

_LOADED = f"import sys, greencache; print(*[name for name in {_HEAVY!r} if name in sys.modules])"

_IMPORT = "import time; started = time.process_time(); import {}; print(time.process_time() - started)"


def entry_bytes(contender: str) -> float:
    """Return the bytes by which a process grows with each entry, its key and value not counted.

    Args:
        contender: "greencache" or "cachetools".
    """
    return float(_python(_GROWTH, contender))


def import_ratio(repeats: int) -> float:
    """Return how long `import greencache` takes, as a multiple of `import cachetools`; medians, in turn."""
    times: dict[str, list[float]] = {"greencache": [], "cachetools": []}
    for _ in range(max(5, repeats)):
        for name, found in times.items():
            found.append(float(_python(_IMPORT.format(name))))
    return statistics.median(times["greencache"]) / statistics.median(times["cachetools"])


def heavy_imports() -> list[str]:
    """Return which libraries `import greencache` loads that only some caches need."""
    return _python(_LOADED).split()


def _python(code: str, *arguments: Any) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
