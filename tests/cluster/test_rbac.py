"""The shipped rights are what the controller uses: none is refused, and none is there in vain.

One scenario makes it do everything that it ever does; the API server's audit log tells what it asked for.
"""

import time

import pytest
import yaml
from localplane.waiting import wait_until

from tests.cluster.harness import RBAC, USER
from tests.cluster.steering import Steered

SHORT = {"durationSeconds": 6, "renewDeadlineSeconds": 4, "retryPeriodSeconds": 1}


def granted():
    """(API group, resource, verb) of every rule."""
    rules = [rule for document in yaml.safe_load_all(RBAC.read_text()) for rule in document.get("rules", ())]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture
def requests(plane, namespace, controllers):
    """What was asked for: both ways of writing, trouble, a change of leader; one serves all namespaces."""
    began = time.time()
    lease = {"lease": {"namespace": namespace} | SHORT}
    group = Steered(plane, namespace).create({"prefill": 1, "decode": 1}, adapters=("decode",))
    group.steer({"prefill": 1, "decode": 1})
    trouble = Steered(plane, namespace, "absent").steer({"decode": 1})
    first = controllers("first", **lease)
    group.want(prefill=2, decode=2)
    group.settled(prefill=2, decode=2)
    wait_until(lambda: trouble.condition("Ready")["status"] == "False", 20, "the trouble to be told")
    wait_until(lambda: trouble.events("TargetNotFound"), 20, "an Event of it")
    first.process.kill()
    second = controllers("second", namespaces=[], **lease)
    wait_until(second.leads, 30, "the second to lead")
    wait_until(lambda: trouble.events("TargetNotFound")[0]["count"] == 2, 20, "the Event to be counted")
    group.want(prefill=1, decode=1)
    group.settled(prefill=1, decode=1)
    asked = [one for one in plane.requests(USER) if one.at >= began and one.namespace in ("", namespace)]
    assert "" in {one.namespace for one in asked}
    return asked


def test_every_right_is_used_and_no_other_is_asked_for(requests):
    used = {(one.api_version.rpartition("/")[0], one.resource, one.verb) for one in requests}
    assert {one for one in requests if one.code == 403} == set()
    assert used == granted()
