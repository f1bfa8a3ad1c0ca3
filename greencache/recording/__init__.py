"""Records what is asked of L1, so that it can be replayed: `greencache simulate`."""

from greencache.recording.access_log import AccessLog
from greencache.recording.lines import FORMAT, header, line_of

__all__ = ["FORMAT", "AccessLog", "header", "line_of"]
