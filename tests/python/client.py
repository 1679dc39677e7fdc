"""Every method of elb.py 0.0.6 against a running ELB, as its users call them.

Arguments: the address of one ELB, of another at the same etcd, and of two servers.
"""

import sys
import time

import requests
from elb import ELB, ELBRespError, ELBSet, BackendRule, PathRule, RuleSet, UARule, UpStream


def served(elb, host, path, agent):
    answer = requests.get("http://%s%s" % (elb, path), headers={"Host": host, "User-Agent": agent}, timeout=10)
    return answer.status_code, answer.text


def settle(elbs):
    """Waits until every instance has heard from etcd what one of them has dumped.

    A change that is made before would lose against that news when it comes.
    """
    deadline = time.monotonic() + 20
    for elb in elbs:
        while requests.get("http://%s/__erulb__/domain" % elb, timeout=10).headers["X-ELB-Unsaved"] != "0":
            assert time.monotonic() < deadline, "%s has not heard of the dump" % elb
            time.sleep(0.01)


def rules(blog, rest):
    return RuleSet("r1", [
        UARule("r1", r"httpie(\S+)$", "r4", "r3"),
        BackendRule("r2", blog),
        BackendRule("r3", rest),
        PathRule("r4", "/blog/", False, False, "r2", "r3"),
    ])


def one(elb, first, second):
    """The methods of ELB, on one instance."""
    client = ELB(elb)
    assert client.get_upstream() == {}, client.get_upstream()
    assert client.get_domain_rules() == {}

    assert client.set_upstream(UpStream("up1", {first: ""})) == {"msg": "OK"}
    assert client.set_upstream(UpStream("up2", {second: "weight=10 max_fails=2"})) == {"msg": "OK"}
    assert client.get_upstream()["up2"] == [
        {"addr": second, "name": second, "weight": 10, "max_fails": 2, "fail_timeout": 10}]

    assert client.set_domain_rules("py.test", rules("up1", "up2")) == {"msg": "OK"}
    assert client.get_domain_rules() == {"py.test": rules("up1", "up2").dump()}
    assert served(elb, "py.test", "/blog/x", "HTTPie/0.9.9") == (200, "first")
    assert served(elb, "py.test", "/", "HTTPie/0.9.9") == (200, "second")
    assert served(elb, "py.test", "/blog/x", "curl/8") == (200, "second")

    try:
        client.set_upstream(UpStream("up1", {first: "wait=10"}))
    except ELBRespError as error:
        assert b"wait=10" in error.args[0], error
    else:
        raise AssertionError("an unknown parameter was taken")

    assert client.delete_domain_rules(["py.test"]) == {"msg": "OK"}
    assert client.delete_upstream(["up1", "up2", "up3"]) == {"up1": True, "up2": True, "up3": 404}
    assert client.get_upstream() == {}
    assert client.get_domain_rules() == {}
    assert served(elb, "py.test", "/", "curl/8")[0] == 404


def several(elbs, first, second):
    """The methods of ELBSet: changes go to every instance, questions to any of them."""
    clients = ELBSet(elbs)
    clients.set_upstream(UpStream("up1", {first: ""}))
    clients.set_upstream(UpStream("up2", {second: ""}))
    clients.set_domain_rules("set.test", rules("up1", "up2"))
    for elb in elbs:
        assert served(elb, "set.test", "/blog/x", "HTTPie/0.9.9") == (200, "first")
    assert set(clients.get_upstream()) == {"up1", "up2"}
    assert set(clients.get_domain_rules()) == {"set.test"}
    assert clients.dump_to_etcd() == {"msg": "OK"}
    settle(elbs)
    clients.delete_domain_rules(["set.test"])
    clients.delete_upstream(["up1", "up2"])
    for elb in elbs:
        assert served(elb, "set.test", "/", "curl/8")[0] == 404
    assert clients.dump_to_etcd() == {"msg": "OK"}
    settle(elbs)


def sample(elb, first):
    """The flow of the client's sample, whose servername is an object."""
    client = ELB(elb)
    client.set_upstream(UpStream("up1", {first: ""}))
    client.set_domain_rules("test.local", RuleSet("rule1", [BackendRule("rule1", {"up1": ""})]))
    assert client.dump_to_etcd() == {"msg": "OK"}
    assert client.get_domain_rules()["test.local"]["rules"]["rule1"]["args"]["servername"] == {"up1": ""}
    assert served(elb, "test.local", "/", "curl/8") == (200, "first")


def main(elb, other, first, second):
    one(elb, first, second)
    several([elb, other], first, second)
    sample(elb, first)
    print("every method did what it says")


main(*sys.argv[1:])
