"""Which size is worth its memory."""

from greencache.simulate import Outcome, advise


def curve(points, **more):
    """Return outcomes of sizes and hit ratios."""
    values = {"policy": "lru", "byte_hit_ratio": 0.0, "cost_saved": None} | more
    return [Outcome(size=size, hit_ratio=ratio, **values) for size, ratio in points]


def test_the_last_doubling_that_gains_a_point_is_worth_it():
    """Beyond it, a doubling gains less."""
    advice = advise(curve([(100, 0.5), (200, 0.6), (400, 0.62), (800, 0.625), (1600, 0.626)]))
    assert advice.outcome.size == 400
    assert "62.0% hit ratio" in str(advice)


def test_a_plateau_before_a_step_does_not_end_the_search():
    """A loop that fits at last is worth the memory, if it gains enough for each doubling on the way."""
    assert advise(curve([(100, 0.5), (200, 0.501), (400, 0.501), (800, 0.9)])).outcome.size == 800


def test_the_largest_size_says_that_it_is():
    """Then larger ones should be tried."""
    advice = advise(curve([(100, 0.5), (200, 0.6)]))
    assert advice.is_largest
    assert "larger ones" in str(advice)
    assert advise(curve([(100, 0.5)])).outcome.size == 100


def test_where_costs_are_known_they_decide():
    """An entry that takes a second to load is worth more than one that takes a millisecond."""
    cheap = curve([(100, 0.5)], cost_saved=0.5) + curve([(200, 0.9)], cost_saved=0.501)
    advice = advise(cheap)
    assert (advice.outcome.size, advice.measure) == (100, "cost saved")
