"""Code that everybody writes first, and that must be found out."""

from .harness import Scene


class NaiveFlight(Scene):
    """One load per key by looking whether somebody loads already."""

    threads = ("load", "load")

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, int] = {}
        self.loading: set[str] = set()
        self.loads: list[int] = []

    def load(self, me: int) -> None:
        """Load unless it is there, or being loaded."""
        if "k" not in self.values and "k" not in self.loading:
            self.loading.add("k")
            self.loads.append(me)
            self.values["k"] = 1
            self.loading.discard("k")

    def judge(self) -> None:
        """One load."""
        assert len(self.loads) == 1, f"expected one load, got {len(self.loads)}"


class NaiveCache(Scene):
    """Get, or load and set; beside it somebody changes the source and deletes."""

    threads = ("load", "change")

    def __init__(self) -> None:
        super().__init__()
        self.version = 0
        self.values: dict[str, int] = {}

    def load(self, _: int) -> None:
        """Read through the cache."""
        if self.values.get("k") is None:
            version = self.version
            self.values["k"] = version

    def change(self, _: int) -> None:
        """Write around the cache."""
        self.version += 1
        self.values.pop("k", None)

    def judge(self) -> None:
        """Nothing old is kept."""
        kept = self.values.get("k", self.version)
        assert kept == self.version, f"{kept} is kept, the source has {self.version}"


class NaiveGate(Scene):
    """One at a time by counting who is in."""

    threads = ("load", "load")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.inside: list[int] = []
        self.most = [0, 0]

    def load(self, me: int) -> None:
        """Go in if nobody is."""
        if self.count < 1:
            self.count += 1
            self.inside.append(me)
            self.most[me] = len(self.inside)
            self.inside.remove(me)
            self.count -= 1

    def judge(self) -> None:
        """One at a time."""
        assert max(self.most) <= 1, "two were in at once"


class TwoLocks(Scene):
    """Two locks, taken in two orders."""

    threads = ("forward", "backward")

    def __init__(self) -> None:
        import threading

        super().__init__()
        self.first, self.second = threading.Lock(), threading.Lock()

    def forward(self, _: int) -> None:
        """Take them in one order."""
        with self.first, self.second:
            pass

    def backward(self, _: int) -> None:
        """Take them in the other."""
        with self.second, self.first:
            pass

    def judge(self) -> None:
        """That all have ended is all."""
