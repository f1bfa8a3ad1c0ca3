"""Script of a test: clients and a proxy that are all greenlets of one thread."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

import gevent  # noqa: E402
import redis  # noqa: E402

from greencache.testing import Cut, TcpProxy  # noqa: E402


def main(port):
    with TcpProxy(("127.0.0.1", port)) as proxy:
        client = redis.Redis.from_url(f"redis://127.0.0.1:{proxy.port}/9", socket_timeout=5)
        proxy.replies.latency = 0.01
        jobs = [gevent.spawn(client.echo, str(number)) for number in range(20)]
        gevent.joinall(jobs, raise_error=True)
        assert [job.value for job in jobs] == [str(number).encode() for number in range(20)]
        proxy.replies.cut = Cut(3)
        try:
            client.echo("cut")
        except redis.ConnectionError:
            assert client.echo("again") == b"again"
        proxy.black_hole = True
        try:
            with gevent.Timeout(0.1):
                client.ping()
        except gevent.Timeout:
            print("all well")
        proxy.refuses = True
        client.close()


main(int(sys.argv[1]))
