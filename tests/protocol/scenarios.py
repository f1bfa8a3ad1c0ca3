"""Small worlds in which the protocol could go wrong.

Each has few actors, so that every order of their steps can be tried. `A` and `B` are processes on hosts of
their own, so is `D`, and `C` is another one on A's host. A listener belongs to every process.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from greencache import WriteThrough

from .process import KEY, TAG, Process, Verb
from .verbs import changing, get, load, load_tagging, reload, reload_in_vain
from .world import World

invalidate = changing(lambda cache, _: cache.invalidate(KEY))
invalidate_pattern = changing(lambda cache, _: cache.invalidate(pattern="k*"))
invalidate_tag = changing(lambda cache, _: cache.invalidate(tags=[TAG]), restamps=True)
clear = changing(lambda cache, _: cache.clear(), restamps=True)
put = changing(lambda cache, version: cache.set(KEY, version, tags=[TAG]))
write = changing(lambda cache, version: cache.write(KEY, version, lambda _: None, tags=[TAG]))

FORGETTING = {"key": invalidate, "pattern": invalidate_pattern, "tag": invalidate_tag, "clear": clear}
WRITING = {"set": put, "write-through": write}
CHANGING = FORGETTING | WRITING


_DUE = {"ttl": 50.0, "refresh_ahead": 0.5}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """Who does what at once.

    Args:
        threads: For each thread the name of its process and what it does.
        warm: Processes that have read the key before.
        tiers: How many tiers there are: 1, L1 alone; 2, L1 and L3; 3, all.
        loses: Whether announcements are lost and noticed as gaps.
        contested: Whether writers write at once, so that the authority decides what is true.
        knows_stamps: Whether the processes know the stamps at first.
        bare: Processes without L1.
        strangers: Whether processes elsewhere replace a stamp twice.
        is_due: Whether what was read before is due to be reloaded.
        most_loads: How often the source may be read; `None` for any number.
    """

    threads: Sequence[tuple[str, Sequence[Verb]]]
    warm: str = ""
    tiers: int = 3
    loses: bool = False
    contested: bool = False
    knows_stamps: bool = True
    bare: str = ""
    strangers: bool = False
    is_due: bool = False
    most_loads: int | None = None

    def begin(self) -> World:
        """Return the world in its first state."""
        world = World(loses=self.loses, knows_stamps=self.knows_stamps)
        world.has_one_writer = not self.contested
        world.most_loads = self.most_loads
        processes = self._processes(world)
        for name in self.warm:
            processes[name].cache.get_or_load(KEY, world.load, tags=[TAG], **_DUE)
        if self.is_due:
            world.clock.advance(_DUE["ttl"] * 0.75)
        for name, verbs in self.threads:
            processes[name].do(*verbs)
        if self.strangers:
            world.strangers()
        for process in processes.values():
            process.listen()
        return world

    def _processes(self, world: World) -> Mapping[str, Process]:
        hosts = {"A": "host 1", "B": "host 2", "C": "host 1", "D": "host 3"}
        names = sorted({name for name, _ in self.threads} | set(self.warm))
        shared = world.server("L3") if self.tiers > 1 else None
        own = {hosts[name]: None for name in names}
        if self.tiers > 2:
            own = {host: world.server(f"{host} L2") for host in own}
        return {
            name: world.process(
                name, own[hosts[name]], shared, WriteThrough(), has_memory=name not in self.bare
            )
            for name in names
        }


def _two(first: str, one: Sequence[Verb], second: str, other: Sequence[Verb], **more) -> Scenario:
    return Scenario([(first, one), (second, other)], **more)


PLACES = {"within a process": "A", "on one host": "C", "on two hosts": "B"}
WRITERS = (("set", "set"), ("set", "key"), ("set", "tag"), ("write-through", "pattern"))


def _of_two() -> Iterator[tuple[str, Scenario]]:
    for place, other in PLACES.items():
        # Clear is a tag for everything, and write-through a put: they are tried in one place.
        for name in CHANGING if other == "B" else ("key", "pattern", "tag", "set"):
            change = CHANGING[name]
            yield f"load, {name}, {place}", _two("A", [load], other, [change, get])
            yield f"get, {name}, {place}", _two("A", [get, get], other, [change, get], warm=other)
        for name in ("key", "set"):
            pair = _two("A", [reload], other, [CHANGING[name]], warm="A", is_due=True)
            yield f"reload, {name}, {place}", pair
        for name in ("key", "pattern", "tag", "set"):
            failing = _two("A", [reload_in_vain], other, [CHANGING[name]], warm="A", is_due=True)
            yield f"failing reload, {name}, {place}", failing
        for one, two in WRITERS:
            pair = _two("A", [CHANGING[one]], other, [CHANGING[two]], warm="A", contested=True)
            yield f"{one} and {two}, {place}", pair
        yield f"two loads, {place}", _two("A", [load], other, [load], most_loads=1)


def _of_few_tiers() -> Iterator[tuple[str, Scenario]]:
    for name, change in CHANGING.items():
        yield f"load, {name}, L1 alone", _two("A", [load, get], "A", [change, load], tiers=1)
        yield f"load, {name}, announcements lost", _two("A", [load], "B", [change], tiers=2, loses=True)
    for name in ("key", "set"):
        three = [("A", [load]), ("B", [load]), ("B", [CHANGING[name]])]
        yield f"two loads and {name}, L3 alone", Scenario(three, tiers=2, bare="AB")
    yield (
        "load, tag twice, L1 alone",
        Scenario([("A", [load]), ("A", [invalidate_tag]), ("A", [invalidate_tag])], tiers=1),
    )
    yield "two sets, L1 alone", Scenario([("A", [put]), ("A", [put])], tiers=1, contested=True)


def _of_late_tags() -> Iterator[tuple[str, Scenario]]:
    for place, other in PLACES.items():
        yield f"tagging load, tag, {place}", _two("A", [load_tagging], other, [invalidate_tag])
    unknown = _two("A", [load_tagging, get], "B", [invalidate_tag, get], knows_stamps=False)
    yield "tagging load, tag, on two hosts, unknown", unknown
    yield "tagging load, tag, L1 alone", _two("A", [load_tagging, get], "A", [invalidate_tag], tiers=1)


def _of_strangers() -> Iterator[tuple[str, Scenario]]:
    for knows, when in ((True, "known"), (False, "unknown")):
        alone = Scenario([("A", [load, get])], knows_stamps=knows, strangers=True)
        yield f"load, tag twice elsewhere, {when}", alone
        warm = Scenario([("A", [get, get])], knows_stamps=knows, strangers=True, warm="C")
        yield f"get, tag twice elsewhere, {when}", warm
    both = [("A", [get]), ("D", [load])]
    yield (
        "get and load, tag twice elsewhere",
        Scenario(both, tiers=2, bare="AD", knows_stamps=False, strangers=True),
    )


SCENARIOS = dict(_of_two()) | dict(_of_few_tiers()) | dict(_of_late_tags()) | dict(_of_strangers())
