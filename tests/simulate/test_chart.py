"""The chart of a simulation."""

from greencache.simulate import advise, draw_curves, simulate


def test_the_chart_is_written_twice(requests, tmp_path):
    """As PNG and as SVG, in a folder that is made for it, by bytes and by count."""
    for by_bytes in (True, False):
        found = simulate(requests, policies=["lru", "default"], by_bytes=by_bytes)
        png, svg = draw_curves(found, advise(found.curve("lru")), tmp_path / str(by_bytes) / "folder")
        assert png.read_bytes().startswith(b"\x89PNG")
        assert "<svg" in svg.read_text(encoding="utf-8")
