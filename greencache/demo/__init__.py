"""The main job: the world's electricity times its emission factors, over all four tiers.

`run_demo` is what the command `greencache demo` calls. Everything here uses the cache as any program would.
"""

from greencache.demo.chart import draw_chart
from greencache.demo.display import Display, RichDisplay, SilentDisplay
from greencache.demo.job import run_demo
from greencache.demo.outcome import Check, Outcome, Stage
from greencache.demo.report import print_report
from greencache.demo.settings import MIN_ROWS, DemoError, DemoSettings

__all__ = [
    "MIN_ROWS",
    "Check",
    "DemoError",
    "DemoSettings",
    "Display",
    "Outcome",
    "RichDisplay",
    "SilentDisplay",
    "Stage",
    "draw_chart",
    "print_report",
    "run_demo",
]
