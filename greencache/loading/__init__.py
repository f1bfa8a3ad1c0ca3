"""The way of a read that L1 could not answer: join, descend, load, climb, land."""

from greencache.loading.assembly import assemble
from greencache.loading.load import Load, Remarks, current_load, note_position, seeing_uncommitted
from greencache.loading.look import Look, look_in_memory
from greencache.loading.maker import EntryMaker
from greencache.loading.reader import Reader
from greencache.loading.witness import Witness

__all__ = [
    "EntryMaker",
    "Load",
    "Look",
    "Reader",
    "Remarks",
    "Witness",
    "assemble",
    "current_load",
    "look_in_memory",
    "note_position",
    "seeing_uncommitted",
]
