"""The rules together, and those that need power over time and servers."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .base import KEY, WHO, Options
from .doubles import DoubleWorld
from .reads import Reads
from .writes import Writes


class TwoManagers(Reads, Writes):
    """What can be done on any servers."""

    def may_join(self) -> bool:
        """Return whether a third process may begin now."""
        return len(self.world.members) == 2

    @precondition(lambda self: self.may_join())
    @rule(shares_host=st.booleans())
    def join(self, *, shares_host: bool) -> None:
        """Begin a third process, with what the shared tiers have."""
        member = self.world.join(shares_host=shares_host)
        self.ledger.begin(member.number)


class TwoManagersOnServers(TwoManagers):
    """With servers, where everything is heard at some time or other."""

    @rule()
    def settle(self) -> None:
        """Let everybody hear everything."""
        self.world.settle()


class TwoManagersInTime(TwoManagers):
    """With doubles of servers, and a clock of one's own."""

    make_world = DoubleWorld
    world: DoubleWorld

    def may_join(self) -> bool:
        """Return whether a third process may begin now: on a host that is not behind."""
        return super().may_join() and not self.world.buses[1].is_paused

    @rule(seconds=st.sampled_from([0.4, 1.0, 2.0, 2.5, 11.0]))
    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.world.advance(seconds)

    @rule(who=WHO)
    def pause(self, who: int) -> None:
        """Let a process hear nothing."""
        self.world.bus(self.member(who).cache).is_paused = True

    @rule(who=WHO, key=KEY)
    def change_behind(self, who: int, key: str) -> None:
        """Let somebody else change and forget what a process has just loaded, and let it hear nothing."""
        self.get_or_load(who, key, Options(), None, fails=False)
        self.pause(who)
        self.invalidate_keys(who + 1, [key], changes=True)

    @rule(who=WHO, key=KEY)
    def change_during_outage(self, who: int, key: str) -> None:
        """Let a process change and forget what the shared server has, while that is away for a moment."""
        self.get_or_load(who + 1, key, Options(), None, fails=False)
        self.world.shared.is_down = True
        self.invalidate_keys(who, [key], changes=True)
        self.world.shared.is_down = False

    @rule(who=WHO, has_missed=st.booleans())
    def resume(self, who: int, *, has_missed: bool) -> None:
        """Let it hear what was said, or that it has missed some of it."""
        bus = self.world.bus(self.member(who).cache)
        bus.resume(has_missed=has_missed)
        bus.vouch(self.world.now)

    @rule(is_down=st.booleans())
    def switch_authority(self, *, is_down: bool) -> None:
        """Let the shared server go or come."""
        self.world.shared.is_down = is_down
