"""Promises of the reader of `CLUSTER NODES`."""

from greencache.testing.servers.redis_view import SLOTS, ClusterView

ANSWER = """\
aa 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-8191 8193 [8192->-bb]
bb 10.0.0.9:7001@17001,host.test,shard-id=f00 master - 0 1 2 connected 8194-16383
cc 127.0.0.1:7002@17002 slave aa 0 1 1 connected
dd :0@0 master,noaddr,fail - 0 1 0 disconnected
"""


def test_owners_and_replicas_are_read():
    """Ranges, single slots, slots on the move, and host names behind the address."""
    view = ClusterView.parse(ANSWER)
    assert view.owners[0].node_id == view.owners[8193].node_id == "aa"
    assert (view.owners[8194].port, view.owners[8194].epoch) == (7001, 2)
    assert [replica.node_id for replica in view.replicas_of("aa")] == ["cc"]
    assert set(range(SLOTS)) - view.owners.keys() == {8192}


def test_trouble_is_told():
    """Dead nodes and slots of nobody; a whole cluster has none."""
    assert ClusterView.parse(ANSWER).trouble() == "0 is fail,master,noaddr, 1 slots have no owner"
    assert (
        ClusterView.parse("aa 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-16383").trouble() == ""
    )


def test_opinions_are_compared_without_what_each_node_says_of_itself():
    """The same facts seen by two nodes are one opinion."""
    of_aa = ClusterView.parse(ANSWER)
    of_cc = ClusterView.parse(ANSWER.replace("myself,master", "master").replace("slave", "myself,slave"))
    assert of_aa.opinion() == of_cc.opinion()
