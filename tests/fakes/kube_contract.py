"""What this project relies on of an API server, as tests that a fake and a real one must pass alike.

A module that imports all of this and has the fixtures `kubeconfig` (a Path) and `namespace` (an empty
namespace of the test's own) runs them.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from rbg_autoscaler.kube.client import (
    JSON_PATCH,
    MERGE_PATCH,
    Conflict,
    Invalid,
    KubeApi,
    KubernetesApi,
    NotFound,
    Unavailable,
)

Object = dict[str, Any]

RBG_API = "/apis/workloads.x-k8s.io/v1alpha2"
STRATEGIC = "application/strategic-merge-patch+json"
GUARD_FAILED = "the server rejected our request due to an error in our request"
MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


@pytest.fixture
async def api(kubeconfig: Path) -> AsyncIterator[KubeApi]:
    client = KubernetesApi(kubeconfig)
    yield client
    await client.close()


def adapters(namespace: str, name: str = "", sub: str = "") -> str:
    """Adapters made by hand: the RBG controller leaves those without its ownerReference alone."""
    tail = "/".join(part for part in ("", name, sub) if part or part == "")
    return f"{RBG_API}/namespaces/{namespace}/rolebasedgroupscalingadapters{tail.rstrip('/')}"


def groups(namespace: str, name: str = "") -> str:
    return f"{RBG_API}/namespaces/{namespace}/rolebasedgroups" + (f"/{name}" if name else "")


def leases(namespace: str, name: str = "") -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases" + (f"/{name}" if name else "")


async def new_adapter(api: KubeApi, namespace: str, name: str = "by-hand", **more: Any) -> Object:
    labels = more.pop("labels", {})
    spec = {"scaleTargetRef": {"name": "by", "role": "hand"}} | more
    body = {
        "apiVersion": "workloads.x-k8s.io/v1alpha2",
        "kind": "RoleBasedGroupScalingAdapter",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }
    return await api.request("POST", adapters(namespace), body=body)


async def new_group(api: KubeApi, namespace: str) -> Object:
    """Two roles at zero, so that the RBG controller, where there is one, makes no pods."""
    template = {"spec": {"containers": [{"name": "engine", "image": "engine:v1"}]}}
    roles = [
        {"name": name, "replicas": 0, "standalonePattern": {"template": template}} for name in ("a", "b")
    ]
    body = {"apiVersion": "workloads.x-k8s.io/v1alpha2", "kind": "RoleBasedGroup", "metadata": {"name": "g"}}
    return await api.request("POST", groups(namespace), body=body | {"spec": {"roles": roles}})


async def merge(api: KubeApi, path: str, body: Object, **query: str) -> Object:
    return await api.request("PATCH", path, body=body, content_type=MERGE_PATCH, query=query)


class TestObjects:
    async def test_a_new_object_has_uid_version_and_generation_1(self, api, namespace):
        made = await new_adapter(api, namespace, replicas=2)
        metadata = made["metadata"]
        assert (metadata["generation"], metadata["namespace"]) == (1, namespace)
        assert metadata["resourceVersion"].isdecimal()
        assert len(metadata["uid"]) == 36
        assert await api.request("GET", adapters(namespace, "by-hand")) == made

    async def test_a_name_is_taken_once(self, api, namespace):
        await new_adapter(api, namespace)
        with pytest.raises(Conflict) as caught:
            await new_adapter(api, namespace)
        assert (caught.value.reason, "by-hand" in caught.value.message) == ("AlreadyExists", True)

    async def test_what_is_not_there_is_not_found(self, api, namespace):
        with pytest.raises(NotFound) as caught:
            await api.request("GET", adapters(namespace, "none"))
        assert caught.value.message == 'rolebasedgroupscalingadapters.workloads.x-k8s.io "none" not found'
        with pytest.raises(NotFound):
            await api.request("DELETE", adapters(namespace, "none"))
        with pytest.raises(NotFound):
            await merge(api, adapters(namespace, "none"), {})
        with pytest.raises(NotFound):
            await api.request("GET", f"{RBG_API}/namespaces/{namespace}/unheardofs")

    async def test_generation_counts_changes_of_the_spec_only(self, api, namespace):
        await new_adapter(api, namespace, replicas=1)
        path = adapters(namespace, "by-hand")
        changed = await merge(api, path, {"spec": {"replicas": 2}})
        labelled = await merge(api, path, {"metadata": {"labels": {"a": "b"}}})
        phased = await merge(api, adapters(namespace, "by-hand", "status"), {"status": {"phase": "Bound"}})
        generations = [obj["metadata"]["generation"] for obj in (changed, labelled, phased)]
        versions = [int(obj["metadata"]["resourceVersion"]) for obj in (changed, labelled, phased)]
        assert generations == [2, 2, 2]
        assert versions == sorted(set(versions))

    async def test_object_and_status_are_written_apart(self, api, namespace):
        await new_adapter(api, namespace, replicas=1)
        both = {"spec": {"replicas": 5}, "status": {"phase": "Bound"}}
        through_status = await merge(api, adapters(namespace, "by-hand", "status"), both)
        assert (through_status["spec"]["replicas"], through_status["status"]["phase"]) == (1, "Bound")
        both["status"]["phase"] = "NotBound"
        through_object = await merge(api, adapters(namespace, "by-hand"), both)
        assert (through_object["spec"]["replicas"], through_object["status"]["phase"]) == (5, "Bound")

    async def test_a_write_that_changes_nothing_makes_no_version(self, api, namespace):
        made = await new_adapter(api, namespace, replicas=2)
        again = await merge(api, adapters(namespace, "by-hand"), {"spec": {"replicas": 2}})
        assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]

    async def test_a_dry_run_answers_and_changes_nothing(self, api, namespace):
        made = await new_adapter(api, namespace, replicas=2)
        dry = await merge(api, adapters(namespace, "by-hand"), {"spec": {"replicas": 7}}, dryRun="All")
        assert (dry["spec"]["replicas"], dry["metadata"]["generation"]) == (7, 2)
        assert await api.request("GET", adapters(namespace, "by-hand")) == made

    async def test_delete_guarded_by_uid(self, api, namespace):
        made = await new_adapter(api, namespace)
        guard = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "another"}}
        with pytest.raises(Conflict):
            await api.request("DELETE", adapters(namespace, "by-hand"), body=guard)
        guard["preconditions"] = {"uid": made["metadata"]["uid"]}
        await api.request("DELETE", adapters(namespace, "by-hand"), body=guard)
        with pytest.raises(NotFound):
            await api.request("GET", adapters(namespace, "by-hand"))


class TestPut:
    async def test_a_stale_version_is_a_conflict(self, api, namespace):
        made = await new_adapter(api, namespace, replicas=1)
        await merge(api, adapters(namespace, "by-hand"), {"spec": {"replicas": 2}})
        made["spec"]["replicas"] = 3
        with pytest.raises(Conflict) as caught:
            await api.request("PUT", adapters(namespace, "by-hand"), body=made)
        assert (caught.value.reason, MODIFIED in caught.value.message) == ("Conflict", True)

    async def test_it_needs_a_version(self, api, namespace):
        made = await new_adapter(api, namespace)
        lease = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}}
        await api.request("POST", leases(namespace), body=lease)
        del made["metadata"]["resourceVersion"]
        for path, body in ((adapters(namespace, "by-hand"), made), (leases(namespace, "leader"), lease)):
            with pytest.raises(Invalid, match="must be specified for an update"):
                await api.request("PUT", path, body=body)

    async def test_another_uid_is_a_conflict(self, api, namespace):
        made = await new_adapter(api, namespace)
        made["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
        with pytest.raises(Conflict):
            await api.request("PUT", adapters(namespace, "by-hand"), body=made)

    async def test_of_a_lease_one_of_two_writers_wins(self, api, namespace):
        body = {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
        made = await api.request("POST", leases(namespace), body=body)
        mine, theirs = (
            {**made, "spec": made["spec"] | {"holderIdentity": who}} for who in ("mine", "theirs")
        )
        won = await api.request("PUT", leases(namespace, "leader"), body=mine)
        assert won["spec"]["holderIdentity"] == "mine"
        with pytest.raises(Conflict):
            await api.request("PUT", leases(namespace, "leader"), body=theirs)
        with pytest.raises(Conflict):
            await api.request("POST", leases(namespace), body=body)


class TestPatches:
    async def test_a_merge_patch_guarded_by_version(self, api, namespace):
        made = await new_adapter(api, namespace, replicas=1)
        guard = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
        path = adapters(namespace, "by-hand")
        await merge(api, path, guard | {"spec": {"replicas": 2}})
        with pytest.raises(Conflict):
            await merge(api, path, guard | {"spec": {"replicas": 3}})
        removed = await merge(api, path, {"spec": {"replicas": None}})
        assert "replicas" not in removed["spec"]

    async def test_a_json_patch_with_its_guards(self, api, namespace):
        made = await new_group(api, namespace)
        uid = {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]}

        def patch(index: int, name: str, old: int, new: int) -> list[Object]:
            at = f"/spec/roles/{index}"
            return [
                uid,
                {"op": "test", "path": f"{at}/name", "value": name},
                {"op": "test", "path": f"{at}/replicas", "value": old},
                {"op": "replace", "path": f"{at}/replicas", "value": new},
            ]

        foreign = [uid | {"value": "00000000-0000-0000-0000-000000000000"}, *patch(0, "a", 0, 1)[1:]]
        for wrong in (patch(0, "b", 0, 1), patch(0, "a", 3, 1), patch(9, "a", 0, 1), foreign):
            with pytest.raises(Invalid) as caught:
                await api.request("PATCH", groups(namespace, "g"), body=wrong, content_type=JSON_PATCH)
            assert (caught.value.status, caught.value.reason) == (422, "Invalid")
            assert caught.value.message == GUARD_FAILED
        with pytest.raises(Invalid, match=r"spec\.roles\[1\]\.replicas"):
            await api.request(
                "PATCH", groups(namespace, "g"), body=patch(1, "b", 0, -1), content_type=JSON_PATCH
            )
        dry = {"dryRun": "All"}
        right = patch(1, "b", 0, 2)
        done = await api.request(
            "PATCH", groups(namespace, "g"), body=right, content_type=JSON_PATCH, query=dry
        )
        assert [role["replicas"] for role in done["spec"]["roles"]] == [0, 2]
        assert done["metadata"]["generation"] == 2

    async def test_a_json_patch_of_the_status_guarded_by_uid(self, api, namespace):
        made = await new_adapter(api, namespace)
        path = adapters(namespace, "by-hand", "status")
        guard = {"op": "test", "path": "/metadata/uid", "value": made["metadata"]["uid"]}
        change = {"op": "add", "path": "/status", "value": {"phase": "Bound"}}
        done = await api.request("PATCH", path, body=[guard, change], content_type=JSON_PATCH)
        assert done["status"] == {"phase": "Bound"}
        wrong = [guard | {"value": "another"}, change]
        with pytest.raises(Invalid):
            await api.request("PATCH", path, body=wrong, content_type=JSON_PATCH)

    async def test_a_custom_resource_takes_no_strategic_merge(self, api, namespace):
        await new_adapter(api, namespace)
        with pytest.raises(Invalid) as caught:
            await api.request("PATCH", adapters(namespace, "by-hand"), body={}, content_type=STRATEGIC)
        assert (caught.value.status, caught.value.reason) == (415, "UnsupportedMediaType")

    async def test_replicas_left_out_become_one(self, api, namespace):
        await new_group(api, namespace)
        gone = [{"op": "remove", "path": "/spec/roles/0/replicas"}]
        dry = {"dryRun": "All"}
        done = await api.request(
            "PATCH", groups(namespace, "g"), body=gone, content_type=JSON_PATCH, query=dry
        )
        assert done["spec"]["roles"][0]["replicas"] == 1


class TestScale:
    async def test_before_there_is_a_number_it_can_be_written_but_not_read(self, api, namespace):
        await new_adapter(api, namespace)
        path = adapters(namespace, "by-hand", "scale")
        with pytest.raises(Unavailable) as caught:
            await api.request("GET", path)
        assert (caught.value.status, caught.value.reason) == (500, "InternalError")
        assert "replicas" in caught.value.message
        assert "does not exist" in caught.value.message
        assert (await merge(api, path, {"spec": {"replicas": 3}}))["spec"] == {"replicas": 3}

    async def test_its_shape(self, api, namespace):
        made = await new_adapter(api, namespace, replicas=2)
        status = {"status": {"phase": "Bound", "replicas": 1, "selector": "a=b"}}
        bound = await merge(api, adapters(namespace, "by-hand", "status"), status)
        scale = await api.request("GET", adapters(namespace, "by-hand", "scale"))
        assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
        assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 1, "selector": "a=b"})
        assert scale["metadata"]["uid"] == made["metadata"]["uid"]
        assert scale["metadata"]["resourceVersion"] == bound["metadata"]["resourceVersion"]

    async def test_a_stale_version_is_a_conflict_and_another_uid_is_not(self, api, namespace):
        made = await new_adapter(api, namespace, replicas=1)
        path = adapters(namespace, "by-hand", "scale")
        guard = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
        await merge(api, path, guard | {"spec": {"replicas": 2}})
        with pytest.raises(Conflict) as caught:
            await merge(api, path, guard | {"spec": {"replicas": 3}})
        assert (caught.value.reason, MODIFIED in caught.value.message) == ("Conflict", True)
        foreign = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}, "spec": {"replicas": 4}}
        assert (await merge(api, path, foreign))["spec"] == {"replicas": 4}

    async def test_zero_is_no_number_in_the_scale_and_a_zero_in_the_object(self, api, namespace):
        await new_adapter(api, namespace, replicas=1)
        path = adapters(namespace, "by-hand", "scale")
        assert (await merge(api, path, {"spec": {"replicas": 0}}))["spec"] == {}
        assert (await api.request("GET", path))["spec"] == {}
        assert (await api.request("GET", adapters(namespace, "by-hand")))["spec"]["replicas"] == 0

    async def test_it_counts_generations_and_can_be_put(self, api, namespace):
        await new_adapter(api, namespace, replicas=1)
        path = adapters(namespace, "by-hand", "scale")
        scale = await api.request("GET", path)
        scale["spec"]["replicas"] = 5
        assert (await api.request("PUT", path, body=scale))["spec"] == {"replicas": 5}
        with pytest.raises(Conflict):
            await api.request("PUT", path, body=scale)
        assert (await api.request("GET", adapters(namespace, "by-hand")))["metadata"]["generation"] == 2

    async def test_what_it_refuses(self, api, namespace):
        await new_adapter(api, namespace, replicas=2)
        path = adapters(namespace, "by-hand", "scale")
        with pytest.raises(Invalid, match=r"\.spec\.replicas: Invalid value: -1"):
            await merge(api, path, {"spec": {"replicas": -1}})
        guard = [{"op": "test", "path": "/spec/replicas", "value": 7}]
        with pytest.raises(Invalid) as caught:
            await api.request("PATCH", path, body=guard, content_type=JSON_PATCH)
        assert caught.value.message == GUARD_FAILED
        dry = await merge(api, path, {"spec": {"replicas": 9}}, dryRun="All")
        assert (dry["spec"], (await api.request("GET", path))["spec"]) == ({"replicas": 9}, {"replicas": 2})

    async def test_groups_have_none(self, api, namespace):
        await new_group(api, namespace)
        with pytest.raises(NotFound):
            await api.request("GET", groups(namespace, "g") + "/scale")


class TestLists:
    async def test_labels_and_names_select(self, api, namespace):
        await new_adapter(api, namespace, "a", labels={"team": "x"})
        await new_adapter(api, namespace, "b", labels={"team": "y"})
        await new_adapter(api, namespace, "c")

        async def names(**query: str) -> list[str]:
            listed = await api.list_all(adapters(namespace), query, lambda obj: obj["metadata"]["name"])
            return listed.items

        assert await names() == ["a", "b", "c"]
        assert await names(labelSelector="team") == ["a", "b"]
        assert await names(labelSelector="!team") == ["c"]
        assert await names(labelSelector="team=y") == ["b"]
        assert await names(labelSelector="team!=y") == ["a", "c"]
        assert await names(labelSelector="team,team!=y") == ["a"]
        assert await names(fieldSelector="metadata.name=c") == ["c"]

    async def test_pages_hold_together_and_know_one_version(self, api, namespace):
        made = [await new_adapter(api, namespace, f"a{index}") for index in range(5)]
        page = await api.request("GET", adapters(namespace), query={"limit": "2"})
        assert (len(page["items"]), page["metadata"]["remainingItemCount"]) == (2, 3)
        listed = await api.list_all(adapters(namespace), {"limit": "2"})
        assert [obj["metadata"]["uid"] for obj in listed.items] == [obj["metadata"]["uid"] for obj in made]
        assert int(listed.resource_version) >= int(made[-1]["metadata"]["resourceVersion"])

    async def test_an_empty_list_has_a_version(self, api, namespace):
        listed = await api.list_all(adapters(namespace))
        assert (listed.items, listed.resource_version.isdecimal()) == ([], True)

    async def test_lists_reach_over_namespaces(self, api, namespace):
        await new_adapter(api, namespace)
        everywhere = await api.list_all(f"{RBG_API}/rolebasedgroupscalingadapters")
        assert namespace in {obj["metadata"]["namespace"] for obj in everywhere.items}


def _access(kubeconfig: Path) -> tuple[str, str, ssl.SSLContext | bool]:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = cluster.get("certificate-authority")
    trust = ssl.create_default_context(cafile=authority) if authority else True
    return cluster["server"], user["token"], trust


@asynccontextmanager
async def watching(kubeconfig: Path, path: str, **query: str) -> AsyncIterator[AsyncIterator[Object]]:
    """The events of a watch; ends with the server's stream."""
    server, token, trust = _access(kubeconfig)
    params = {"watch": "true"} | query
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(server + path, params=params, ssl=trust) as response,
    ):
        assert response.status == 200

        async def events() -> AsyncIterator[Object]:
            async for line in response.content:
                yield json.loads(line)

        yield events()


async def take(events: AsyncIterator[Object], count: int) -> list[tuple[str, str]]:
    """The next events as (type, object's name), bookmarks left out."""
    found: list[tuple[str, str]] = []
    async with asyncio.timeout(20):
        async for event in events:
            if event["type"] != "BOOKMARK":
                found.append((event["type"], event["object"]["metadata"]["name"]))
            if len(found) == count:
                break
    return found


class TestWatches:
    async def test_from_a_list_on_every_change_is_told_once_in_order(self, api, kubeconfig, namespace):
        await new_adapter(api, namespace, "before")
        version = (await api.list_all(adapters(namespace))).resource_version
        await new_adapter(api, namespace, "a", replicas=1)
        async with watching(kubeconfig, adapters(namespace), resourceVersion=version) as events:
            await merge(api, adapters(namespace, "a", "scale"), {"spec": {"replicas": 2}})
            await merge(api, adapters(namespace, "a"), {"spec": {"replicas": 2}})  # nothing new
            await merge(api, adapters(namespace, "a", "status"), {"status": {"phase": "Bound"}})
            await api.request("DELETE", adapters(namespace, "before"))
            told = await take(events, 4)
        assert told == [("ADDED", "a"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("DELETED", "before")]

    async def test_without_a_version_all_that_is_there_comes_first(self, api, kubeconfig, namespace):
        await new_adapter(api, namespace, "a")
        async with watching(kubeconfig, adapters(namespace)) as events:
            assert await take(events, 1) == [("ADDED", "a")]
            await new_adapter(api, namespace, "b")
            assert await take(events, 1) == [("ADDED", "b")]

    async def test_what_leaves_the_selection_is_deleted_for_the_watch(self, api, kubeconfig, namespace):
        await new_adapter(api, namespace, "a", labels={"team": "x"})
        version = (await api.list_all(adapters(namespace))).resource_version
        query = {"labelSelector": "team", "resourceVersion": version}
        async with watching(kubeconfig, adapters(namespace), **query) as events:
            await merge(api, adapters(namespace, "a"), {"metadata": {"labels": {"team": None}}})
            await merge(api, adapters(namespace, "a"), {"metadata": {"labels": {"other": "z"}}})
            await merge(api, adapters(namespace, "a"), {"metadata": {"labels": {"team": "y"}}})
            assert await take(events, 2) == [("DELETED", "a"), ("ADDED", "a")]

    async def test_a_deletion_carries_a_version_of_its_own(self, api, kubeconfig, namespace):
        made = await new_adapter(api, namespace, "a")
        version = made["metadata"]["resourceVersion"]
        async with watching(kubeconfig, adapters(namespace), resourceVersion=version) as events:
            await api.request("DELETE", adapters(namespace, "a"))
            async with asyncio.timeout(20):
                event = await anext(events)
        assert event["type"] == "DELETED"
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(version)

    async def test_too_old_a_version_is_an_error_event(self, kubeconfig, namespace):
        async with watching(kubeconfig, adapters(namespace), resourceVersion="1") as events:
            async with asyncio.timeout(20):
                event = await anext(events)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert event["object"]["reason"] in ("Expired", "Gone")

    async def test_a_watch_ends_in_time_and_tells_nothing_but_bookmarks_at_rest(
        self, api, kubeconfig, namespace
    ):
        await new_adapter(api, namespace, "a")
        version = (await api.list_all(adapters(namespace))).resource_version
        query = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "1"}
        async with watching(kubeconfig, adapters(namespace), **query) as events, asyncio.timeout(20):
            told = [event async for event in events]
        assert {event["type"] for event in told} <= {"BOOKMARK"}
        assert all(int(event["object"]["metadata"]["resourceVersion"]) >= int(version) for event in told)
