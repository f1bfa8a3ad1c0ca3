"""URLs of several servers that belong together."""

import pytest

from greencache.backends.redis_deployment import Deployment, Topology
from greencache.errors import ConfigurationError

CANARY = "hunter2"


def test_one_server_is_its_own_seed():
    """As RedisAddress reads it."""
    deployment = Deployment.parse(f"rediss://user:{CANARY}@h:7000/3")
    assert deployment.topology is Topology.STANDALONE
    assert deployment.seeds == (deployment.member,)
    assert (deployment.member.host, deployment.member.port, deployment.member.db) == ("h", 7000, 3)


def test_sentinels_are_named_with_the_service_that_they_watch():
    """The login and the database are those of the data servers."""
    deployment = Deployment.parse(f"redis+sentinel://user:{CANARY}@h1,h2:7,[::1]/mymaster/2")
    assert [(seed.host, seed.port, seed.password) for seed in deployment.seeds] == [
        ("h1", 26379, None),
        ("h2", 7, None),
        ("::1", 26379, None),
    ]
    assert deployment.service == "mymaster"
    member = deployment.address_of("h9", 6380)
    assert (member.host, member.port, member.db) == ("h9", 6380, 2)
    assert (member.username, member.password, member.label) == ("user", CANARY, "mymaster@h9:6380")
    assert deployment.member.label == "mymaster@h1:26379,h2:7,[::1]:26379"


def test_sentinels_may_want_a_login_of_their_own():
    """It is no option of the data servers."""
    deployment = Deployment.parse(
        f"rediss+sentinel://:a@h1,h2/s?sentinel_username=u&ssl_cert_reqs=none&sentinel_password={CANARY}%40"
    )
    assert {(seed.username, seed.password, seed.scheme) for seed in deployment.seeds} == {
        ("u", f"{CANARY}@", "rediss")
    }
    assert deployment.member.tls == deployment.seeds[0].tls == {"ssl_cert_reqs": "none"}
    assert deployment.member.password == "a"
    assert CANARY not in repr(deployment)


def test_a_login_may_be_given_apart():
    """It is that of the data servers too."""
    deployment = Deployment.parse("redis+sentinel://h1/s", "user", CANARY)
    assert (deployment.member.username, deployment.member.password) == ("user", CANARY)
    assert deployment.seeds[0].password is None


def test_nodes_of_a_cluster_are_data_servers():
    """Each that is named is a place to begin."""
    deployment = Deployment.parse(f"redis+cluster://:{CANARY}@h1,h2:7001/")
    assert deployment.topology is Topology.CLUSTER
    assert [(seed.host, seed.port, seed.password) for seed in deployment.seeds] == [
        ("h1", 6379, CANARY),
        ("h2", 7001, CANARY),
    ]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"redis+sentinel://:{CANARY}@h1,h2", "name of a service"),
        (f"redis+sentinel://:{CANARY}@h1,h2/a/b", "number of a database"),
        (f"redis+sentinel://:{CANARY}@h1,h2/a/0/c", "name of a service"),
        (f"redis+sentinel://:{CANARY}@h1:x/a", "host or port"),
        (f"redis+sentinel://:{CANARY}@h1/a?socket_timeout=3", "socket_timeout"),
        (f"redis+sentinel://:{CANARY}@h1@h2/a", "percent-encode"),
        (f"redis+cluster://:{CANARY}@h1/3", "only database 0"),
        (f"redis+other://:{CANARY}@h1", "expected a URL"),
    ],
)
def test_what_cannot_be_read_is_refused_without_being_quoted(url, reason):
    """The reason is said, the password is not."""
    with pytest.raises(ConfigurationError, match=reason) as caught:
        Deployment.parse(url)
    assert CANARY not in str(caught.value)
