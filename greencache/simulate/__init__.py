"""Replays recorded requests, to choose a policy and a size."""

from greencache.simulate.advice import LEAST_GAIN, Advice, advise
from greencache.simulate.chart import draw_curves
from greencache.simulate.outcome import Outcome, Simulation, TraceFacts
from greencache.simulate.study import Display, simulate
from greencache.simulate.trace import Request, TraceError, read_trace
from greencache.simulate.writer import TraceWriter

__all__ = [
    "LEAST_GAIN",
    "Advice",
    "Display",
    "Outcome",
    "Request",
    "Simulation",
    "TraceError",
    "TraceFacts",
    "TraceWriter",
    "advise",
    "draw_curves",
    "read_trace",
    "simulate",
]
