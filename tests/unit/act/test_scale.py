"""Writing replica counts: what is guarded, what a race answers, what is written together."""

import pytest

from rbg_autoscaler.act.scale import Result, RoleWriter
from rbg_autoscaler.api.types import ObjectKey
from rbg_autoscaler.decide.decision import RoleDecision
from rbg_autoscaler.decide.snapshot import GroupView, RoleView, WritePath
from rbg_autoscaler.kube.client import KubernetesApi
from tests.fakes.kube_server import FakeKube, Fault

API = "workloads.x-k8s.io/v1alpha2"


def decided(role: str, current: int, granted: int) -> RoleDecision:
    return RoleDecision(role, current, current, granted, granted, granted, None, "R", "m", (), (), ())


@pytest.fixture
async def fake():
    async with FakeKube() as server:
        yield server


@pytest.fixture
async def api(fake, tmp_path):
    api = KubernetesApi(kubeconfig=fake.kubeconfig(tmp_path))
    yield api
    await api.close()


class Cluster:
    """A group `ds` with roles of the given write paths and counts, on a fake API server."""

    def __init__(self, fake, api, **roles):
        self.fake = fake
        spec = [
            {"name": name, "replicas": count, "scalingAdapter": {"enable": path is WritePath.ADAPTER}}
            for name, (path, count) in roles.items()
        ]
        group = fake.put(
            {
                "apiVersion": API,
                "kind": "RoleBasedGroup",
                "metadata": {"name": "ds", "namespace": "ns"},
                "spec": {"roles": spec},
            }
        )
        self.uid = group["metadata"]["uid"]
        for name, (path, count) in roles.items():
            if path is WritePath.ADAPTER:
                self.adapter(name, count)
        self.group = GroupView(
            ObjectKey("ns", "ds"),
            self.uid,
            group["metadata"]["resourceVersion"],
            tuple(RoleView(n, c, c, c, c, write_path=p) for n, (p, c) in roles.items()),
        )
        self.writer = RoleWriter(api)

    def adapter(self, role, replicas, *, phase="Bound", uid=None, target="ds"):
        return self.fake.put(
            {
                "apiVersion": API,
                "kind": "RoleBasedGroupScalingAdapter",
                "metadata": {
                    "name": f"ds-{role}",
                    "namespace": "ns",
                    "ownerReferences": [
                        {"apiVersion": API, "kind": "RoleBasedGroup", "name": "ds", "uid": uid or self.uid}
                    ],
                },
                "spec": {"replicas": replicas, "scaleTargetRef": {"name": target, "role": role}},
                "status": {"phase": phase, "replicas": replicas},
            }
        )

    def adapter_replicas(self, role):
        return self.fake.get("RoleBasedGroupScalingAdapter", "ns", f"ds-{role}")["spec"].get("replicas")

    def group_replicas(self):
        roles = self.fake.get("RoleBasedGroup", "ns", "ds")["spec"]["roles"]
        return {role["name"]: role["replicas"] for role in roles}


async def test_a_role_with_an_adapter_is_written_through_scale_with_the_resource_version(fake, api):
    cluster = Cluster(fake, api, decode=(WritePath.ADAPTER, 2))
    version = fake.get("RoleBasedGroupScalingAdapter", "ns", "ds-decode")["metadata"]["resourceVersion"]
    (outcome,) = await cluster.writer.write(cluster.group, [decided("decode", 2, 5)])
    assert outcome.result is Result.WRITTEN
    assert cluster.adapter_replicas("decode") == 5
    (sent,) = fake.writes()
    assert sent.path.endswith("/rolebasedgroupscalingadapters/ds-decode/scale")
    assert sent.body == {"metadata": {"resourceVersion": version}, "spec": {"replicas": 5}}
    assert cluster.group_replicas() == {"decode": 2}  # the RBG itself is not touched


async def test_a_stale_resource_version_is_a_race_not_a_lost_update(fake, api):
    cluster = Cluster(fake, api, decode=(WritePath.ADAPTER, 2))
    fake.faults.append(Fault(method="PATCH", path="scale", status=409, reason="Conflict"))
    (outcome,) = await cluster.writer.write(cluster.group, [decided("decode", 2, 5)])
    assert outcome.result is Result.MOVED
    assert cluster.adapter_replicas("decode") == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"phase": "NotBound"}, "not Bound"),
        ({"uid": "another-uid"}, "another group"),
        ({"target": "other"}, "another role"),
    ],
)
async def test_an_adapter_that_is_not_the_one_decided_on_is_not_written(fake, api, change, says):
    cluster = Cluster(fake, api, decode=(WritePath.ADAPTER, 2))
    cluster.adapter("decode", 2, **change)
    (outcome,) = await cluster.writer.write(cluster.group, [decided("decode", 2, 5)])
    assert outcome.result is Result.MOVED
    assert says in outcome.message
    assert fake.writes() == []


async def test_an_adapter_moved_by_somebody_else_is_decided_again(fake, api):
    cluster = Cluster(fake, api, decode=(WritePath.ADAPTER, 2))
    cluster.adapter("decode", 3)
    (outcome,) = await cluster.writer.write(cluster.group, [decided("decode", 2, 5)])
    assert outcome.result is Result.MOVED
    assert cluster.adapter_replicas("decode") == 3


async def test_an_absent_count_of_a_bound_adapter_is_zero(fake, api):
    cluster = Cluster(fake, api, decode=(WritePath.ADAPTER, 0))
    adapter = fake.get("RoleBasedGroupScalingAdapter", "ns", "ds-decode")
    del adapter["spec"]["replicas"]
    fake.put(adapter)
    (outcome,) = await cluster.writer.write(cluster.group, [decided("decode", 0, 1)])
    assert outcome.result is Result.WRITTEN
    assert cluster.adapter_replicas("decode") == 1


async def test_the_first_write_of_an_adapter_is_read_once_more(fake, api):
    cluster = Cluster(fake, api, prefill=(WritePath.ADAPTER, 2), decode=(WritePath.ADAPTER, 2))
    changes = [decided("prefill", 2, 4), decided("decode", 2, 5)]
    written = await cluster.writer.write(cluster.group, changes)
    cluster.adapter("decode", 2)  # bound a second time: the write is lost
    first = frozenset({"prefill", "decode"})
    confirmed = await cluster.writer.confirm(cluster.group, written, first)
    assert [one.result for one in confirmed] == [Result.WRITTEN, Result.MOVED]
    fake.requests.clear()
    assert await cluster.writer.confirm(cluster.group, written, frozenset()) == written
    assert fake.requests == []


async def test_a_second_look_that_fails_leaves_the_write_as_it_was(fake, api):
    cluster = Cluster(fake, api, decode=(WritePath.ADAPTER, 2))
    written = await cluster.writer.write(cluster.group, [decided("decode", 2, 5)])
    fake.faults.append(Fault(method="GET", path="ds-decode", status=500, times=9))
    assert await cluster.writer.confirm(cluster.group, written, frozenset({"decode"})) == written


async def test_roles_without_adapter_are_written_together_in_one_guarded_patch(fake, api):
    cluster = Cluster(fake, api, prefill=(WritePath.GROUP, 2), decode=(WritePath.GROUP, 4))
    outcomes = await cluster.writer.write(cluster.group, [decided("prefill", 2, 6), decided("decode", 4, 8)])
    assert [outcome.result for outcome in outcomes] == [Result.WRITTEN, Result.WRITTEN]
    assert cluster.group_replicas() == {"prefill": 6, "decode": 8}
    (sent,) = fake.writes()
    assert [op["op"] for op in sent.body] == ["test", "test", "test", "replace", "test", "test", "replace"]
    assert sent.body[0] == {"op": "test", "path": "/metadata/uid", "value": cluster.uid}


async def test_the_index_of_a_role_is_read_afresh(fake, api):
    cluster = Cluster(fake, api, prefill=(WritePath.GROUP, 2), decode=(WritePath.GROUP, 4))
    group = fake.get("RoleBasedGroup", "ns", "ds")
    group["spec"]["roles"].reverse()
    fake.put(group)
    (outcome,) = await cluster.writer.write(cluster.group, [decided("decode", 4, 5)])
    assert outcome.result is Result.WRITTEN
    assert cluster.group_replicas() == {"prefill": 2, "decode": 5}


@pytest.mark.parametrize("race", ["made again", "role gone", "count moved", "guard fails"])
async def test_any_race_on_the_group_is_decided_again_and_nothing_is_written(fake, api, race):
    cluster = Cluster(fake, api, prefill=(WritePath.GROUP, 2), decode=(WritePath.GROUP, 4))
    group = fake.get("RoleBasedGroup", "ns", "ds")
    if race == "made again":
        fake.delete("RoleBasedGroup", "ns", "ds")
        group["metadata"] = {"name": "ds", "namespace": "ns"}
        fake.put(group)
    elif race == "role gone":
        del group["spec"]["roles"][0]
        fake.put(group)
    elif race == "count moved":
        group["spec"]["roles"][0]["replicas"] = 3
        fake.put(group)
    else:
        fake.faults.append(Fault(method="PATCH", path="rolebasedgroups/ds", status=422, reason="Invalid"))
    before = cluster.group_replicas()
    outcomes = await cluster.writer.write(cluster.group, [decided("prefill", 2, 6), decided("decode", 4, 8)])
    assert {outcome.result for outcome in outcomes} == {Result.MOVED}
    assert cluster.group_replicas() == before


async def test_a_denied_write_is_reported_with_the_admission_text(fake, api):
    cluster = Cluster(fake, api, decode=(WritePath.GROUP, 4))
    fake.faults.append(Fault(method="PATCH", path="rolebasedgroups/ds", status=403, reason="partition 2"))
    (outcome,) = await cluster.writer.write(cluster.group, [decided("decode", 4, 2)])
    assert outcome.result is Result.FAILED
    assert outcome.message


async def test_every_write_names_its_field_manager_and_none_is_a_merge_patch_of_the_group(fake, api):
    cluster = Cluster(fake, api, prefill=(WritePath.GROUP, 2), decode=(WritePath.ADAPTER, 4))
    await cluster.writer.write(cluster.group, [decided("prefill", 2, 3), decided("decode", 4, 5)])
    assert len(fake.writes()) == 2
    for sent in fake.writes():
        assert sent.query == {"fieldManager": "rbg-autoscaler"}
        assert isinstance(sent.body, list) == sent.path.endswith("/rolebasedgroups/ds")
