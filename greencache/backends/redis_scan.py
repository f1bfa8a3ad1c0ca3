"""Looking through the keys of one server."""

from collections.abc import Iterator

from greencache.backends.redis_errors import without_errors
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import pack
from greencache.typing import Seconds

__all__ = ["scan_node"]


def scan_node(node: RedisNode, match: str | bytes, count: int, deadline: Seconds) -> Iterator[list[bytes]]:
    """Yield the keys of a server that match a pattern, batch by batch; a key may come twice.

    Args:
        node: The server.
        match: A glob pattern as Redis understands it.
        count: About how many keys the server looks at for one batch.
        deadline: Seconds for each batch.
    """
    cursor: bytes | int = 0
    while True:
        packed = pack(("SCAN", cursor, "MATCH", match, "COUNT", count))
        ((cursor, keys),) = without_errors(node.exchange(packed, 1, deadline, repeatable=True))
        if keys:
            yield keys
        if int(cursor) == 0:
            return
