"""Users, passwords and their change in all topologies; and that nobody ever reads one of them."""

import contextlib
import logging
import traceback

import pytest

from greencache import CacheConfig, CacheManager
from greencache.backends.retry import RetryPolicy
from greencache.errors import TierUnavailableError
from greencache.testing import RedisClusterServers, RedisSentinelServers, RedisServer, wait_until
from greencache.testing.servers import LOCAL
from greencache.testing.servers.redis_program import redis_client

pytestmark = pytest.mark.timeout(120)

USER, PASSWORD = "c4n4ry-us3r", "c4n4ry-pa55word@:/?#%"
WATCHER, WATCHWORD = "c4n4ry-w4tcher", "c4n4ry-w4tchword+ &="
SECRETS = (USER, "c4n4ry-pa55word", WATCHER, "c4n4ry-w4tchword")
QUICK = {"retry": RetryPolicy(retries=1, base=0.001), "deadline": 5}


class Standalone:
    """One server."""

    def __init__(self):
        self._server = RedisServer(sources=LOCAL).start()
        self.url = self._server.url
        self.close = self._server.close

    def ask_all(self, *words):
        """Send a command to all data servers, and return the replies."""
        with redis_client(self.url) as client:
            return [client.execute_command(*words)]


class Several:
    """Servers that belong together."""

    def __init__(self, servers):
        self._servers = servers.start()
        self.url = servers.url
        self.sentinels = getattr(servers, "sentinels", [])
        self.close = servers.close
        for sentinel in self.sentinels:
            sentinel.execute("ACL", "SETUSER", WATCHER, "on", f">{WATCHWORD}", "~*", "&*", "+@all")

    def ask_all(self, *words):
        """Send a command to all data servers, and return the replies."""
        return [node.execute(*words) for node in self._servers.nodes]


TOPOLOGIES = {
    "standalone": Standalone,
    "sentinel": lambda: Several(RedisSentinelServers(sources=LOCAL)),
    "cluster": lambda: Several(RedisClusterServers(sources=LOCAL)),
}


@pytest.fixture(scope="module", params=TOPOLOGIES)
def topology(request):
    """Each topology."""
    with contextlib.closing(TOPOLOGIES[request.param]()) as servers:
        yield servers


@pytest.fixture
def servers(topology):
    """Servers that know one user more, whose password is as it was."""
    topology.ask_all("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    return topology


def users_of(servers):
    """Return who is logged in at the data servers."""
    lists = servers.ask_all("CLIENT", "LIST")
    text = "\n".join(each if isinstance(each, str) else "\n".join(map(str, each)) for each in lists)
    return text.count(USER)


def settings_of(servers, **more):
    """Return settings of L3 with all logins beside the address."""
    login = {"username": USER, "password": PASSWORD}
    if getattr(servers, "sentinels", []):
        login |= {"sentinel_username": WATCHER, "sentinel_password": WATCHWORD}
    return {"url": servers.url} | login | more


def all_that_is_shown(error):
    """Return an error and its whole chain with the values of all variables, except those of this file."""
    chain = traceback.TracebackException.from_exception(error, capture_locals=True)
    link = chain
    while link is not None:
        here = [frame for frame in link.stack if frame.filename != __file__]
        link.stack = traceback.StackSummary.from_list(here)
        link = link.__cause__ or link.__context__
    return "".join(chain.format()) + repr(error) + str(error)


def test_a_cache_logs_in_by_its_configuration(servers):
    """As that user, at the data servers; and as another one at the sentinels."""
    with CacheManager.from_config(CacheConfig(l3=settings_of(servers))) as cache:
        wait_until(lambda: cache.set("key", 1) is None, deadline=30, reason="the cache is connected")
        wait_until(lambda: users_of(servers) > 0, deadline=10, reason="the user is logged in")
        if sentinels := getattr(servers, "sentinels", []):
            wait_until(
                lambda: any(
                    f"user={WATCHER}" in sentinel.execute("CLIENT", "LIST") for sentinel in sentinels
                ),
                deadline=10,
                reason="the sentinels' user listens to one of them",
            )


def test_a_login_that_is_not_accepted_is_no_riddle(servers, new_manager):
    """The message says what to look at, and it is not tried again and again."""
    for name, value in (("username", f"{USER}-other"), ("password", f"{PASSWORD}-other")):
        login = {"username": USER, "password": PASSWORD} | {name: value}
        manager = new_manager(servers.url, **login, **QUICK)
        with pytest.raises(TierUnavailableError, match=r"does not accept our login.*username and password"):
            manager.execute("GET", "key")


def test_sentinels_that_do_not_know_us_say_so(servers, new_manager):
    """It is their login that is wrong, not that of the data servers."""
    if not getattr(servers, "sentinels", []):
        pytest.skip("there are no sentinels")
    url = f"{servers.url}?sentinel_username={WATCHER}&sentinel_password=wrong"
    with pytest.raises(TierUnavailableError, match="does not accept our login"):
        new_manager(url, **QUICK).execute("GET", "key")


def test_a_password_that_changes_is_asked_for_at_each_login(servers, new_manager, parser):
    """Connections that are open stay so; those to come have the new one."""
    passwords = [PASSWORD]
    manager = new_manager(servers.url, username=USER, password=lambda: passwords[-1], parser=parser, **QUICK)
    assert manager.execute("SET", "key", "1") == b"OK"
    passwords.append("c4n4ry-pa55word-2")
    servers.ask_all("ACL", "SETUSER", USER, "resetpass", f">{passwords[-1]}")
    assert manager.execute("GET", "key") == b"1"
    for pool in manager.pools:
        pool.renew()
    assert manager.execute("GET", "key") == b"1"


def test_a_password_in_a_file_is_read_again(servers, tmp_path):
    """As a secret that Docker or Kubernetes mounts and exchanges."""
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    config = CacheConfig(l3={"url": servers.url, "username": USER, "password_file": path})
    path.write_text("c4n4ry-pa55word-2\n")
    servers.ask_all("ACL", "SETUSER", USER, "resetpass", ">c4n4ry-pa55word-2")
    with CacheManager.from_config(config) as cache:
        wait_until(lambda: connects(cache), deadline=30, reason="it logs in with the password of now")


def connects(cache):
    """Return whether a cache has reached its servers."""
    with contextlib.suppress(TierUnavailableError):
        return bool(cache.initialize(strict=True))
    return False


@pytest.mark.parametrize("what", ["raises", "nothing"])
def test_no_password_to_be_had_is_an_outage(servers, new_manager, what):
    """Of which the message says the kind only: what keeps passwords may quote one."""

    def ask():
        if what == "raises":
            raise LookupError(f"no such thing as {PASSWORD}")
        return ""

    manager = new_manager(servers.url, username=USER, password=ask, **QUICK)
    with pytest.raises(TierUnavailableError, match="no password to log in to Redis with") as found:
        manager.execute("GET", "key")
    assert "c4n4ry-pa55word" not in all_that_is_shown(found.value)


WRONG = {
    "all is well": {},
    "wrong password": {"password": f"{PASSWORD}-wrong"},
    "unknown user": {"username": f"{USER}-wrong"},
    "asked for": {"password": lambda: f"{PASSWORD}-asked"},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("place", ["beside", "in the url"])
def test_no_login_is_shown_anywhere(servers, new_manager, caplog, wrong, place):
    """Not in errors, their chains and the variables in them, nor in reprs, states, health and logs."""
    caplog.set_level(logging.DEBUG)
    login = {"username": USER, "password": PASSWORD} | WRONG[wrong]
    url, options = servers.url, login
    if place == "in the url" and not callable(login["password"]):
        url = with_login(servers.url, **login)
        options = {}
    if getattr(servers, "sentinels", []):
        url += f"?sentinel_username={WATCHER}&sentinel_password={quoted(WATCHWORD)}"
    manager = new_manager(url, **options, **QUICK)
    shown = [repr(manager)]
    for call in (
        lambda: manager.execute("GET", "key"),
        lambda: manager.execute_many([("GET", "key")]),
        lambda: manager.open_listener(1).execute("PING"),
        lambda: list(manager.scan("*")),
    ):
        try:
            call()
        except Exception as error:  # the manager's, whichever
            shown.append(all_that_is_shown(error))
    shown += [str(manager.check()), manager.address, repr(manager._servers), repr(manager._deployment)]
    shown += [repr(pool) for pool in manager.pools] + [str(manager.breaker.reason), caplog.text]
    assert [text for text in shown if any(secret in text for secret in SECRETS)] == []


def quoted(text):
    """Return text as it stands in a URL."""
    from urllib.parse import quote

    return quote(text, safe="")


def with_login(url, username, password):
    """Return a URL with a login in it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quoted(username)}:{quoted(password)}@{rest}"


@pytest.mark.parametrize("place", ["beside", "in the url"])
def test_a_caches_health_statistics_and_explanations_show_no_login(servers, caplog, place):
    """Nor does its configuration."""
    caplog.set_level(logging.DEBUG)
    wrong = f"{PASSWORD}-wrong"
    settings = settings_of(servers, password=wrong)
    if place == "in the url":
        settings["url"] = with_login(servers.url, USER, wrong)
        del settings["username"], settings["password"]
    config = CacheConfig(l3=settings)
    with CacheManager.from_config(config) as cache:
        cache.get("key")
        with pytest.raises(TierUnavailableError) as found:
            cache.initialize(strict=True)
        shown = [repr(cache), str(cache.health_check()), str(cache.get_stats()), str(cache.explain("key"))]
        shown += [caplog.text, str(found.value), repr(found.value)]
    assert "pa55word" not in repr(config) + str(config)
    assert "w4tchword" not in repr(config) + str(config)
    assert [text for text in shown if any(secret in text for secret in SECRETS)] == []


def test_a_unix_socket_serves_a_whole_cache(tmp_path):
    """By its address alone, with a login and a database."""
    path = tmp_path / "redis.sock"
    with RedisServer(sources=LOCAL, password=PASSWORD, arguments=["--unixsocket", str(path)]) as server:
        config = CacheConfig(
            l2={"url": f"unix://:{quoted(PASSWORD)}@{path}?db=3"},
            l3={"url": f"unix://{path}", "password": PASSWORD},
        )
        with CacheManager.from_config(config) as cache:
            cache.initialize(strict=True)
            cache.set("key", 1)
            health = cache.health_check().tiers
            assert {tier.name: report.status for tier, report in health.items() if tier.name != "L1"} == {
                "L2": "up",
                "L3": "up",
            }
        with redis_client(server.database_url(3)) as client:
            assert client.dbsize() > 0
        with CacheManager.from_config(config) as cache:
            assert cache.get("key") == 1
            assert "c4n4ry" not in repr(cache) + str(cache.health_check())
