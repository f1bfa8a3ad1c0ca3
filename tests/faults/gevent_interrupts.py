"""Read a Redis from many greenlets whose calls are cut short; print what came of it as JSON.

Run by test_interrupts.py in a process of its own, because monkey patching has no way back.
"""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402 -- everything after the patch
import random  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from tests.faults.interrupted_client import KEYS, Quota, new_reader  # noqa: E402

GREENLETS = 20
CUT_PART = 0.25
"""Of the calls, those that get less time than they may need."""


def read(reader, counts, chance, quota):
    """Read one key after the other."""
    while not quota.is_done():
        counts.read(reader, chance.randrange(KEYS))


def read_in_haste(reader, counts, chance, quota):
    """Read one key after the other, some of them with a `gevent.Timeout` that comes too soon."""
    while not quota.is_done():
        if chance.random() >= CUT_PART:
            counts.read(reader, chance.randrange(KEYS))
            continue
        try:
            with gevent.Timeout(chance.uniform(0, 0.0004)):
                counts.read(reader, chance.randrange(KEYS))
        except gevent.Timeout:
            counts["interrupts"] += 1


def run(reader, way, quota):
    """Return the counts of readers that are cut short until enough is done."""
    counts = quota.new_share()
    work = read_in_haste if way == "timeout" else read

    def new(seed):
        return gevent.spawn(work, reader, counts, random.Random(seed), quota)

    readers = [new(seed) for seed in range(GREENLETS)]
    chance = random.Random(1)
    while way == "kill" and not quota.is_done():
        gevent.sleep(chance.uniform(0, 0.001))
        victims = [number for number in chance.sample(range(GREENLETS), 4) if readers[number]]  # has begun
        gevent.killall([readers[number] for number in victims], block=True)
        counts["interrupts"] += len(victims)
        for number in victims:
            readers[number] = new(chance.random())
    gevent.joinall(readers)
    return counts.finish(reader)


if __name__ == "__main__":
    client, url, way, parser, *quota = sys.argv[1:]
    sys.stdout.write(json.dumps(run(new_reader(client, url, parser), way, Quota(*quota))))
