"""Who else writes a role: a person is followed and, from the second time on, no longer contradicted; of two
autoscalers the younger waits until the older is gone, and what is deleted writes nothing any more.
"""

import time

import pytest
from localplane.kube import path
from localplane.waiting import wait_until

from tests.cluster.harness import AUTOSCALING
from tests.cluster.steering import Steered, per_replica
from tests.cluster.test_leadership import replica_writes

WINDOW = 8
BEHAVIOR = {
    "scaleDown": {
        "stabilizationWindowSeconds": WINDOW,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}],
    }
}


@pytest.fixture(params=[(), ("decode",)], ids=["plain", "adapter"])
def steered(plane, namespace, request):
    """2 replicas that the controller itself asked for."""
    steered = Steered(plane, namespace).create({"decode": 1}, adapters=request.param)
    return steered.steer({"decode": 2})


def test_a_persons_count_has_a_whole_window_and_their_second_one_stays(plane, steered, controllers):
    controllers()
    steered.settled(decode=2)
    steered.tune("decode", minReplicas=1, maxReplicas=6, behavior=BEHAVIOR)
    steered.wait_asked("decode", 1)  # all that the metric asks for
    steered.scale("decode", 3)
    by_hand = time.time()
    wait_until(
        lambda: steered.condition("Conflict").get("reason") == "ChangedByOther", 20, "the change to be told"
    )
    assert steered.condition("Conflict")["status"] == "False"
    steered.wait_asked("decode", 1)
    (fell,) = replica_writes(plane, steered.namespace, by_hand)
    assert fell.at - by_hand >= WINDOW
    steered.scale("decode", 4)
    wait_until(lambda: steered.condition("Conflict")["status"] == "True", 20, "the other writer to be told")
    since = time.time()
    time.sleep(WINDOW + 4)
    assert steered.asked("decode") == 4
    assert replica_writes(plane, steered.namespace, since) == []
    (event,) = steered.events("Conflict")
    assert (event["type"], event["count"]) == ("Warning", 1)


def test_the_younger_autoscaler_takes_over_when_the_older_is_deleted(plane, steered, controllers):
    time.sleep(1.1)  # creation times have whole seconds
    controllers()
    steered.settled(decode=2)
    entry = {"name": "decode", "minReplicas": 4, "maxReplicas": 4, "metrics": per_replica("1k")}
    younger = steered.autoscale("younger", roles=[entry])
    wait_until(
        lambda: steered.condition("Ready", "younger").get("reason") == "TargetClaimed", 20, "its refusal"
    )
    assert steered.asked("decode") == 2
    steered.kube.delete(path(AUTOSCALING, "rbgautoscalers", steered.namespace, "ds"))
    steered.settled(decode=4)
    steered.kube.delete(younger)
    time.sleep(2)
    steered.scale("decode", 1)
    since = time.time()
    time.sleep(5)
    assert steered.asked("decode") == 1
    assert replica_writes(plane, steered.namespace, since) == []
