"""The way of a read that L1 could not answer: join, descend, load, climb, land."""

from greencache.loading.assembly import assemble
from greencache.loading.load import Load, Remarks, current_load
from greencache.loading.maker import EntryMaker
from greencache.loading.reader import Reader

__all__ = ["EntryMaker", "Load", "Reader", "Remarks", "assemble", "current_load"]
