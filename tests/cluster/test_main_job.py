"""The main job on the real control plane: load in, replica counts out, and back."""

import pytest
from localplane.waiting import wait_until

from tests.cluster.harness import Served

FAST_DOWN = {
    "scaleDown": {
        "stabilizationWindowSeconds": 5,
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 1}],
    }
}
ROLES = [
    {
        "name": "prefill",
        "minReplicas": 1,
        "maxReplicas": 6,
        "behavior": FAST_DOWN,
        "startUp": {"settleSeconds": 3},
        "metrics": [
            {"signal": "QueueLength", "target": {"type": "AverageValue", "averageValue": "8"}},
            {"signal": "PromptTokenRate", "target": {"type": "AverageValue", "averageValue": "3k"}},
        ],
    },
    {
        "name": "decode",
        "minReplicas": 1,
        "maxReplicas": 8,
        "behavior": FAST_DOWN,
        "startUp": {"settleSeconds": 3},
        "metrics": [{"signal": "KVCacheUsage", "target": {"type": "AverageValue", "averageValue": "300m"}}],
    },
]
LOAD = {
    "prompt_tokens": 1000,
    "output_tokens": 100,
    "roles": {
        "prefill": {"kind": "prefill", "prompt_tokens_per_s": 5000},
        "decode": {"kind": "decode", "kv_tokens": 20000},
    },
}
SOURCE = {"maxAgeSeconds": 5, "readyGraceSeconds": 3, "rateWindowSeconds": 5}


@pytest.mark.parametrize("adapters", [(), ("prefill", "decode")], ids=["plain", "adapters"])
def test_roles_follow_the_load_up_and_come_back_after_stabilisation(plane, namespace, controllers, adapters):
    served = Served(plane, namespace).create({"prefill": 1, "decode": 1}, adapters=adapters)
    served.autoscale(roles=ROLES)
    source = {"default": {"url": plane.prometheus_url} | SOURCE}
    controller = controllers(sources=source)
    served.wait_ready("decode", 1)
    served.engines.set_load(namespace, "ds", requests_per_s=12, **LOAD)
    wait_until(lambda: served.asked("prefill") >= 3, 60, "prefill to follow the load")
    wait_until(lambda: served.asked("decode") >= 2, 60, "decode to follow the load")
    wait_until(lambda: served.ready("prefill") == served.asked("prefill"), 60, "all of prefill to serve")
    served.engines.set_load(namespace, "ds", requests_per_s=0.5, **LOAD)
    served.wait_asked("prefill", 1, 90)
    served.wait_asked("decode", 1, 90)
    assert served.condition("ScalingActive")["status"] == "True"
    assert "Traceback" not in controller.log()
