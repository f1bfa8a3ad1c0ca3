"""The way of a read that L1 could not answer: join, descend, load, climb, land."""

from greencache.loading.leader import Leader
from greencache.loading.reader import Reader

__all__ = ["Leader", "Reader"]
