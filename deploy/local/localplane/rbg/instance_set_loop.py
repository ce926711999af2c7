"""One pass over a RoleInstanceSet: instances created, deleted, brought to the new revision; its status."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from localplane.rbg import instances, names, rollout
from localplane.rbg.events import timestamp
from localplane.rbg.instances import Birth, Instance
from localplane.rbg.names import Obj
from localplane.rbg.store import Key
from localplane.rbg.world import INSTANCE_SETS, INSTANCES, PODS, REVISIONS, World

_SOURCE = "stateful-instanceset-controller"

BLIND_SECONDS = 0.25
"""After deletions the counts are not read for this long: statuses of the real one trail by about as much."""


_COUNTS = {
    "replicas",
    "readyReplicas",
    "availableReplicas",
    "currentReplicas",
    "updatedReplicas",
    "updatedReadyReplicas",
}


class InstanceSetLoop:
    """Reconciles instance sets by key."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._blind_until: dict[Key, float] = {}

    async def reconcile(self, key: Key) -> float | None:
        owner = self._world.instance_sets.get(*key)
        if owner is None or names.is_deleting(owner):
            return None
        template = owner["spec"]["roleInstanceTemplate"]
        update = names.revision_hash(template)
        await self._keep_revision(owner, update)
        current = (owner.get("status") or {}).get("currentRevision", update).rpartition("-")[2]
        strategy = rollout.Strategy.of(owner)
        views = [instances.view(item) for item in self._world.instances.owned_by(names.uid_of(owner))]
        stateless = instances.is_stateless(owner)
        victims = (owner["spec"].get("scaleStrategy") or {}).get("roleInstanceToDelete") or []
        if stateless:
            plan = rollout.plan_stateless(strategy, views, update, self._world.rng, victims)
        else:
            plan = rollout.plan_stateful(strategy, views, current, update)
        await self._delete(owner, plan.delete)
        await self._create(owner, plan.create, {update: template})
        await self._update(owner, plan.update, template, strategy, update)
        born = [_as_instance(owner, birth) for birth in plan.create]
        again = await self._keep_status(owner, strategy, [*views, *born], (current, update))
        if victims:
            cleared = {"spec": {"scaleStrategy": {"roleInstanceToDelete": None}}}
            await self._world.merge(INSTANCE_SETS, owner, cleared, "rbg")
        if plan.delete or plan.update:
            self._blind_until[key] = asyncio.get_running_loop().time() + BLIND_SECONDS
        return again

    async def _keep_revision(self, owner: Obj, digest: str) -> None:
        name = f"{names.name_of(owner)}-{digest}"
        if self._world.revisions.get(names.namespace_of(owner), name) is not None:
            return
        known = self._world.revisions.owned_by(names.uid_of(owner))
        revision = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": name,
                "namespace": names.namespace_of(owner),
                "labels": names.labels_of(owner),
                "ownerReferences": [names.owner_reference(owner)],
            },
            "data": {"roleInstanceTemplate": owner["spec"]["roleInstanceTemplate"]},
            "revision": max((int(item["revision"]) for item in known), default=0) + 1,
        }
        await self._world.create(REVISIONS, revision, "rbg")

    async def _delete(self, owner: Obj, doomed: Sequence[Instance]) -> None:
        async def one(victim: Instance) -> None:
            live = self._world.instances.get(names.namespace_of(owner), victim.name)
            if live is None or not await self._world.delete(INSTANCES, live):
                return
            self._say(owner, "delete", victim.name)
            pods = self._world.pods.owned_by(names.uid_of(live))
            await asyncio.gather(*(self._world.delete(PODS, pod) for pod in pods))

        await asyncio.gather(*(one(victim) for victim in doomed))

    async def _create(self, owner: Obj, births: Sequence[Birth], templates: dict[str, Obj]) -> None:
        """In ascending order. All instances of one pass carry the last one's index in their pods' labels."""
        for birth in births:
            template = templates.get(birth.revision) or self._old_template(owner, birth.revision)
            index = births[-1].suffix if self._world.options.wrong_index else birth.suffix
            made = instances.build(owner, template, birth, index, timestamp())
            if await self._world.create(INSTANCES, made, "rbg") is not None:
                self._say(owner, "create", names.name_of(made))

    def _old_template(self, owner: Obj, digest: str) -> Obj:
        revision = self._world.revisions.get(names.namespace_of(owner), f"{names.name_of(owner)}-{digest}")
        source = revision["data"] if revision else owner["spec"]
        return dict(source["roleInstanceTemplate"])

    async def _update(
        self,
        owner: Obj,
        moving: Sequence[Instance],
        template: Obj,
        strategy: rollout.Strategy,
        update: str,
    ) -> None:
        """In place where only images differ; else the instance is deleted, and made anew in the next pass."""
        recreated = []
        for item in moving:
            live = self._world.instances.get(names.namespace_of(owner), item.name)
            if live is None:
                continue
            if not (
                strategy.in_place
                and rollout.differs_in_images_only(live["spec"]["components"], template["components"])
            ):
                recreated.append(item)
                continue
            bare = instances.is_stateless(owner)
            revision = update if bare else f"{names.name_of(owner)}-{update}"
            components = instances.reindexed(owner, template, item.ordinal)
            body = {
                "metadata": {"labels": {names.REVISION_HASH: revision}},
                "spec": instances.instance_spec(template, components),
            }
            await self._world.merge(INSTANCES, live, body, "rbg")
        await self._delete(owner, recreated)

    async def _keep_status(
        self, owner: Obj, strategy: rollout.Strategy, seen: Sequence[Instance], revisions: tuple[str, str]
    ) -> float | None:
        """Write the status; seconds until it has to be looked at again, if it could not be completed."""
        stateless = instances.is_stateless(owner)
        selector = ",".join(f"{k}={v}" for k, v in sorted(owner["spec"]["selector"]["matchLabels"].items()))
        if stateless:
            selector = f"{names.INSTANCE_OWNER}={names.uid_of(owner)}"
        generation = int(owner["metadata"]["generation"])
        status = rollout.set_status(strategy, seen, revisions, selector, generation, stateless=stateless)
        done = rollout.is_complete(strategy, seen, revisions[1])
        status["currentRevision"] = f"{names.name_of(owner)}-{revisions[1] if done else revisions[0]}"
        status["updateRevision"] = f"{names.name_of(owner)}-{revisions[1]}"
        old = owner.get("status") or {}
        key = (names.namespace_of(owner), names.name_of(owner))
        blind = self._blind_until.get(key, 0.0) - asyncio.get_running_loop().time()
        if blind > 0:
            status = {k: status[k] if k not in _COUNTS else old.get(k, 0) for k in status}
        if any(old.get(field) != value for field, value in status.items()):
            await self._world.merge(INSTANCE_SETS, owner, {"status": status}, "rbg", "status")
        if blind > 0:
            return blind
        # With the current revision moved, currentReplicas is another number.
        return 0.0 if done and revisions[0] != revisions[1] else None

    def _say(self, owner: Obj, verb: str, name: str) -> None:
        message = f"{verb} RoleInstance {name} in RoleInstanceSet {names.name_of(owner)} successful"
        self._world.recorder.emit(owner, "Normal", f"Successful{verb.capitalize()}", message, _SOURCE)


def _as_instance(owner: Obj, birth: Birth) -> Instance:
    ordinal = None if instances.is_stateless(owner) else int(birth.suffix)
    return Instance(f"{names.name_of(owner)}-{birth.suffix}", ordinal, birth.revision, ready=False)
