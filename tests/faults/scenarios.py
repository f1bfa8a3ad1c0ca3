"""The scenarios of the catalogue of faults that tests measure here, and why some of them are not measured."""

__all__ = ["NOT_MEASURED", "SCENARIOS"]

SCENARIOS = {
    "P3": "never worse than no cache",
    "P4": "one load",
    "P5": "monotonic reads",
    "P6": "read your writes",
    "P7": "bounded staleness",
    "P8": "no stale fill",
    "P9": "loss is seen",
    "P10": "no resurrection over failover",
    "P14": "gevent-safe",
    "14": "server refuses",
    "15": "server hangs",
    "21": "server restarts empty",
    "36": "primary killed",
    "37": "primary hangs",
    "38": "manual failover",
    "40": "sentinels dead and hung",
    "41": "all sentinels gone",
    "46": "node killed",
    "47": "node hangs",
    "48": "manual failover of a node",
    "49": "slots are moved",
    "50": "many keys, a node is away",
    "56": "listener killed under load",
    "57": "listener half-open",
    "58": "listener too slow",
    "59": "cut between drop and announcement",
    "60": "announcements repeated or out of order",
    "61": "fill races with invalidation",
    "62": "storm with faults",
    "63": "process stopped, then continued",
    "64": "fork with a warm L1",
    "65": "20,000 invalidations at once",
    "66": "10,000 misses on one key",
    "67": "leader dies with its lease",
    "68": "leader slower than its lease",
    "69": "loader raises, hangs, returns None",
    "70": "mass expiry",
    "71": "penetration by missing ids",
    "72": "hot key",
    "73": "big values",
    "74": "cold start, slow source",
    "75": "loader asks for its own key",
    "89": "the database's listener dies",
    "DB": "invalidation by the database",
}
"""In the order of the table; P: a promise as a figure, a number: a scenario."""

NOT_MEASURED = {
    "61": "every order of steps is explored: tests/protocol, tests/properties",
}
"""For a scenario that has no figure here, why."""
