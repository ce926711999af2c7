"""One pass over a RoleInstance: its pods and their gates, in-place updates, recreation, its status."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from localplane.rbg import names, pods, restarts
from localplane.rbg.events import timestamp
from localplane.rbg.names import Obj
from localplane.rbg.pods import Place
from localplane.rbg.store import Key
from localplane.rbg.world import INSTANCES, PODS, World

_SOURCE = "instance-controller"


class InstanceLoop:
    """Reconciles instances by key."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def reconcile(self, key: Key) -> float | None:
        instance = self._world.instances.get(*key)
        if instance is None or names.is_deleting(instance):
            return None
        verdict = self._verdict(instance)
        if verdict.recreate:
            await self._recreate(instance)
            return None
        await self._replace_failed(instance)
        await self._create_missing(instance)
        by_name = self._pods(instance)
        updating = await self._update_in_place(instance, by_name)
        by_name = self._pods(instance)
        conditions = pods.conditions(instance, by_name, timestamp(), updating=updating, restarting=False)
        await self._keep_status(instance, by_name, {"conditions": conditions})
        ready = any(c["type"] == "RoleInstanceReady" and c["status"] == "True" for c in conditions)
        await self._open_gates(by_name, ready)
        return verdict.wait_seconds or None

    def _pods(self, instance: Obj) -> dict[str, Obj]:
        return {names.name_of(pod): pod for pod in self._world.pods.owned_by(names.uid_of(instance))}

    def _verdict(self, instance: Obj) -> restarts.Verdict:
        alive = [pod for pod in self._pods(instance).values() if not names.is_deleting(pod)]
        last = (instance.get("status") or {}).get("lastRestartTime")
        since = datetime.fromisoformat(last).timestamp() if last else None
        return restarts.judge(instance, alive, since, datetime.now(UTC).timestamp())

    async def _recreate(self, instance: Obj) -> None:
        """All pods go at once; they are made again as soon as their names are free."""
        by_name = self._pods(instance)
        count = int((instance.get("status") or {}).get("restartCount") or 0) + 1
        conditions = pods.conditions(instance, by_name, timestamp(), updating=False, restarting=True)
        unready = {
            "type": "RoleInstanceReady",
            "status": "False",
            "reason": "PodsNotReady",
            "message": "NotReady",
        }
        conditions = names.with_condition(conditions, unready, timestamp())
        more = {"conditions": conditions, "restartCount": count, "lastRestartTime": timestamp()}
        await self._keep_status(instance, by_name, more)
        where = f"{names.namespace_of(instance)}/{names.name_of(instance)}"
        message = (
            "RestartPolicy is RecreateInstanceOnPodRestart, recreate all pods of instance: "
            f"{where} (restartCount={count})"
        )
        self._world.recorder.emit(instance, "Normal", "ReCreateInstance", message, _SOURCE)
        await asyncio.gather(*(self._world.delete(PODS, pod) for pod in by_name.values()))

    async def _replace_failed(self, instance: Obj) -> None:
        for pod in self._pods(instance).values():
            if pods.has_failed(pod) and not names.is_deleting(pod):
                await self._world.delete(PODS, pod)

    async def _create_missing(self, instance: Obj) -> None:
        """A name that a terminating pod still holds is left for the pass after that pod's end."""
        present = self._pods(instance)
        namespace = names.namespace_of(instance)
        for place in pods.places(instance):
            if place.pod in present or self._world.pods.get(namespace, place.pod) is not None:
                continue
            await self._world.create(PODS, pods.build(instance, place), "rbg")

    async def _update_in_place(self, instance: Obj, by_name: Mapping[str, Obj]) -> bool:
        """Whether an in-place update is under way in any pod."""
        revision = pods.revision_of(instance)
        updating = False
        for place in pods.places(instance):
            pod = by_name.get(place.pod)
            if pod is None or names.is_deleting(pod):
                continue
            if names.labels_of(pod).get(names.REVISION_HASH) != revision:
                await self._start_update(instance, place, pod, revision)
                updating = True
            elif names.annotations_of(pod).get(pods.BASELINE) and not _update_done(pod):
                updating = True
        return updating

    async def _start_update(self, instance: Obj, place: Place, pod: Obj, revision: str) -> None:
        wanted = pods.wanted_images(place)
        changed = [name for name, image in pods.spec_images(pod).items() if wanted.get(name) != image]
        metadata: Obj = {"labels": {names.REVISION_HASH: revision}}
        body: Obj = {"metadata": metadata}
        if changed:
            gates = pods.gate_conditions(pod, timestamp(), instance_ready=False, in_place_ready=False)
            await self._world.merge(PODS, pod, {"status": {"conditions": gates}}, "rbg", "status")
            so_far = int(names.annotations_of(pod).get(pods.BASELINE, "0"))
            metadata["annotations"] = {pods.BASELINE: str(so_far + len(changed))}
            body["spec"] = {"containers": [{"name": name, "image": wanted[name]} for name in changed]}
        if await self._world.merge(PODS, pod, body, "rbg") is not None and changed:
            message = f"successfully update pod {place.pod} in-place"
            self._world.recorder.emit(instance, "Normal", "SuccessfulUpdatePodInPlace", message, _SOURCE)

    async def _open_gates(self, by_name: Mapping[str, Obj], ready: bool) -> None:
        async def one(pod: Obj) -> None:
            done = not names.annotations_of(pod).get(pods.BASELINE) or _update_done(pod)
            gates = pods.gate_conditions(pod, timestamp(), instance_ready=ready, in_place_ready=done)
            if gates is not None:
                await self._world.merge(PODS, pod, {"status": {"conditions": gates}}, "rbg", "status")

        await asyncio.gather(*(one(pod) for pod in by_name.values() if not names.is_deleting(pod)))

    async def _keep_status(self, instance: Obj, by_name: Mapping[str, Obj], more: Obj) -> None:
        revision = f"{names.name_of(instance)}-{pods.revision_of(instance)}"
        status = {
            "collisionCount": 0,
            "observedGeneration": int(instance["metadata"]["generation"]),
            "currentRevision": revision,
            "updateRevision": revision,
            "componentStatuses": pods.component_statuses(instance, by_name),
            **more,
        }
        old = instance.get("status") or {}
        if any(old.get(field) != value for field, value in status.items()):
            await self._world.merge(INSTANCES, instance, {"status": status}, "rbg", "status")


def _update_done(pod: Obj) -> bool:
    return pods.runs_its_images(pod) and pods.containers_ready(pod)
