"""What stands between a client and a sentinel, and has it name another primary."""

from greencache.testing.proxy import TcpProxy

__all__ = ["LyingSentinels"]


class LyingSentinels:
    """Ways to sentinels on which one port is replaced by another.

    Args:
        url: Of the sentinels.
        sentinels: Those of them that lie.
        stack: Closes the ways.
        true: The port of the primary.
        told: What is said instead; with as many digits.
    """

    def __init__(self, url, sentinels, stack, *, true, told):
        truth, lie = str(true).encode(), str(told).encode()
        assert len(truth) == len(lie)
        self.url = url
        self.proxies = []
        for sentinel in sentinels:
            proxy = stack.enter_context(TcpProxy(("127.0.0.1", sentinel.port)))
            proxy.replies.rewrite = lambda data: data.replace(truth, lie)
            self.url = self.url.replace(f":{sentinel.port}", f":{proxy.port}")
            self.proxies.append(proxy)
