"""Reads of many processes, checked against everything that was acknowledged as forgotten."""

import pytest

from tests.faults.figures import only_in_a_long_run
from tests.faults.history import FORGETTING, History, Op, Record, check, percentiles, read_histories
from tests.faults.nemesis import Nemesis
from tests.faults.storm import Storm
from tests.faults.storm_plan import MAX_STALENESS, Plan

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

HERE, THERE = 1, 2


def forgot(end, version, *, op=Op.DROP, start=None):
    """Return an acknowledged call that forgets what is older than a version."""
    return Record(end - 0.1 if start is None else start, end, HERE, op, 7, version)


def read(start, version, process=HERE, key=7):
    """Return a read."""
    return Record(start, start + 0.01, process, Op.READ, key, version)


def load(start, end):
    """Return a load."""
    return Record(start, end, HERE, Op.LOAD, 7, 1)


class TestChecker:
    @pytest.mark.parametrize("op", sorted(FORGETTING))
    def test_a_read_of_what_its_own_process_forgot_before_is_found(self, op):
        """However shortly before."""
        bad = read(10.001, 1)
        verdict = check([forgot(10.0, 2, op=op), bad], 2.0)
        assert verdict.own == [bad]
        assert verdict.others == []

    def test_a_read_of_what_another_process_forgot_long_before_is_found(self):
        """Past max_staleness, and not before."""
        within, past = read(11.9, 1, THERE), read(12.1, 1, THERE)
        verdict = check([past, forgot(10.0, 2), within], 2.0)
        assert verdict.own == []
        assert verdict.others == [past]
        assert verdict.ages == pytest.approx([2.1, 1.9])

    def test_a_value_that_comes_back_is_found(self):
        """A stale fill: the new version was read already."""
        back = read(14.0, 1, THERE)
        assert check([forgot(10.0, 2), read(12.5, 2, THERE), back], 2.0).others == [back]

    def test_age_counts_from_the_first_call_that_forgot_it(self):
        """Not from the last one."""
        bad = read(12.5, 1, THERE)
        verdict = check([forgot(10.0, 2), forgot(12.0, 3), bad], 2.0)
        assert verdict.others == [bad]
        assert verdict.ages == [2.5]

    def test_an_acknowledgement_that_comes_late_forgets_nothing_newer(self):
        """Two calls overlap, and the one that forgets less ends last."""
        records = [forgot(10.0, 5), forgot(11.0, 3), read(12.0, 4)]
        assert check(records, 2.0).own == [records[-1]]
        assert check([*records[:2], read(12.0, 5)], 2.0).own == []

    @pytest.mark.parametrize(
        "fine",
        [
            read(9.95, 1),  # it began before the acknowledgement
            read(10.5, 2),  # what was written
            read(10.5, 3),  # something newer
            read(10.5, 1, THERE),  # the announcement may be under way
            read(20.0, 1, key=8),  # another key
        ],
    )
    def test_what_may_be_read_is_not_found(self, fine):
        """Else nobody would believe the checker."""
        verdict = check([forgot(10.0, 2), fine], 2.0)
        assert verdict.own == []
        assert verdict.others == []

    def test_a_read_that_goes_back_is_found(self):
        """Nobody has forgotten anything, and yet one process reads new, then old."""
        late, joined = read(10.5, 1), read(10.005, 1)
        verdict = check([read(10.0, 2), late, joined, read(10.5, 1, THERE)], 2.0)
        assert verdict.back == [late]

    def test_a_read_may_go_back_after_an_epoch(self):
        """Its process was told that it cannot prove what it knew."""
        epoch = Record(10.2, 10.2, HERE, Op.EPOCH, 0, 0)
        assert check([read(10.0, 2), epoch, read(10.5, 1)], 2.0).back == []
        assert len(check([epoch, read(10.3, 2), read(10.5, 1)], 2.0).back) == 1
        assert len(check([read(10.0, 2), read(10.1, 1), epoch], 2.0).back) == 1
        assert check([read(10.0, 2), read(10.1, 1), epoch], 2.0, notice=1.0).back == []

    def test_a_load_that_nothing_called_for_is_found(self):
        """The value of the one before was forgotten by nobody."""
        needless = load(2.0, 2.1)
        assert check([load(1.0, 1.1), needless, forgot(3.0, 2), load(4.0, 4.1)], 2.0).needless == [needless]

    @pytest.mark.parametrize(
        "cause", [forgot(1.5, 2), forgot(1.05, 2), forgot(5.0, 2, start=1.9), forgot(5.0, 2, start=0.5)]
    )
    def test_a_load_after_something_was_forgotten_is_called_for(self, cause):
        """Between the loads, during the first, or before the second and still under way."""
        assert check([load(1.0, 1.1), load(2.0, 2.1), cause], 2.0).needless == []

    def test_histories_survive_a_kill_in_the_middle_of_a_record(self, tmp_path):
        """All but the torn record are read, of all processes."""
        for process in (HERE, THERE):
            history = History(tmp_path, process)
            history.note(Op.READ, 7, 1, 0.5)
            history.note(Op.SET, 8, 2, 0.75)
            history.close()
        torn = tmp_path / "0002.history"
        torn.write_bytes(torn.read_bytes()[:-5])
        found = read_histories(tmp_path)
        assert [(each.process, each.op, each.key, each.version, each.start) for each in found] == [
            (HERE, Op.READ, 7, 1, 0.5),
            (HERE, Op.SET, 8, 2, 0.75),
            (THERE, Op.READ, 7, 1, 0.5),
        ]
        assert all(each.end > each.start for each in found)


@pytest.fixture
def servers(redis_servers):
    """The Redis of each of two hosts, and the shared one."""
    return redis_servers(), redis_servers(), redis_servers()


@pytest.fixture
def make_plan(servers, tmp_path):
    """Return a function that makes a plan for a storm over these servers."""
    *hosts, shared = servers

    def make(seconds, without="", **options):
        return Plan(tuple(host.url for host in hosts), shared.url, str(tmp_path), seconds, without, **options)

    return make


def describe(storm, verdict):
    """Return what happened in a storm, for the record."""
    return {
        "seconds": round(storm.seconds, 1),
        "kills": storm.kills,
        "faults": dict(storm.faults),
        "staleness": percentiles(verdict.ages),
        "read_latency": percentiles(verdict.latencies),
        "stale_within_max_staleness": len(verdict.ages) - len(verdict.others),
        "needless_loads": len(verdict.needless),
        "not_acknowledged": storm.total("counts", "pending"),
        "gaps": storm.total("events", "bus_gap"),
        "operations": verdict.counts,
    }


def test_a_storm_leaves_no_stale_read_and_no_key_stuck(make_plan, is_long, figure):
    """With readers killed in the middle of loads, and every way of forgetting at once."""
    storm = Storm(make_plan(30.0 if is_long else 5.0))
    storm.run()
    verdict = storm.verdict()
    assert storm.errors() == ""
    figure("P5", "reads that went back in their process", len(verdict.back), bound="== 0")
    figure("P6", "stale reads in the process that forgot", len(verdict.own), bound="== 0")
    figure("P7", "reads past max_staleness", len(verdict.others), bound="== 0", **describe(storm, verdict))
    refused = {tier: storm.total("stats", "tiers", tier, "refused_fills") for tier in ("L1", "L2", "L3")}
    figure("P8", "stale fills refused by their leases", sum(refused.values()), bound=">= 1", tiers=refused)
    figure("P8", "keys not at their last version at rest", storm.total("counts", "stuck"), bound="== 0")
    figure("67", "readers killed in a load, of a storm", storm.kills_in_load, bound=">= 1")
    # Where nothing was forgotten, nothing is loaded, unless the holder of the lease was held up longer than
    # it lasts.
    assert len(verdict.needless) <= 2 + verdict.counts["load"] // 20


@only_in_a_long_run
def test_a_storm_with_faults_leaves_no_stale_read_and_no_key_stuck(make_plan, servers, figure):
    """The same while servers hang and restart empty, and connections, logs and scripts are lost.

    What nobody can vouch for counts as missing here: otherwise it may be older for as long as the shared
    Redis is out of reach, and there would be no bound to check.
    """
    storm = Storm(make_plan(30.0, serves_unproved=False), Nemesis(*servers))
    storm.run()
    verdict = storm.verdict()
    assert storm.errors() == ""
    reads = verdict.counts["read"]
    faults = sum(storm.faults.values())
    violations = len(verdict.own) + len(verdict.others)
    figure(62, "operations checked", sum(verdict.counts.values()), reads=reads)
    figure(62, "faults injected", faults, bound=">= 5", **storm.faults)
    figure(62, "stale reads", violations, bound="== 0", **describe(storm, verdict))
    figure(
        62, "reads that went back in their process", len(verdict.back), bound="== 0", which=verdict.back[:20]
    )
    figure(62, "keys stuck", storm.total("counts", "stuck"), bound="== 0")


@only_in_a_long_run
@pytest.mark.parametrize(("guard", "found"), [("leases", "own"), ("bus", "others")])
def test_a_storm_finds_what_a_missing_guard_lets_through(make_plan, figure, guard, found):
    """A checker that has never found anything proves nothing."""
    storm = Storm(make_plan(MAX_STALENESS + 1.0, without=guard))
    storm.run()
    verdict = storm.verdict()
    name = f"stale reads found where {guard} are taken out" if guard == "leases" else "… where the bus is"
    figure("P7", name, len(getattr(verdict, found)), bound=">= 1", **describe(storm, verdict))
