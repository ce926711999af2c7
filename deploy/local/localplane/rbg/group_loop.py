"""One pass over a group: its status, its PodGroup, how far each role may go now, and each role's objects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from localplane.rbg import groups, names, workloads
from localplane.rbg.client import ApiError
from localplane.rbg.coordination import PolicyError, RoleProgress, rules_of, throttle
from localplane.rbg.events import timestamp
from localplane.rbg.names import Obj
from localplane.rbg.pods import is_scheduled
from localplane.rbg.queue import RetryError
from localplane.rbg.role_writer import RoleWriter
from localplane.rbg.store import Key
from localplane.rbg.templates import ComponentSizeMissing, GroupContext, PatternError, instance_size
from localplane.rbg.world import CONFIG_MAPS, GROUPS, POD_GROUPS, REVISIONS, WORKLOADS, World

_SOURCE = "RoleBasedGroup"


class GroupLoop:
    """Reconciles groups by key."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._writer = RoleWriter(world)
        self._configs: dict[str, str] = {}

    async def reconcile(self, key: Key) -> float | None:
        group = self._world.groups.get(*key)
        if group is None or names.is_deleting(group):
            return None
        bound = groups.bound_replicas(group, self._world.adapters.owned_by(names.uid_of(group)))
        overridden = groups.overrides(group, bound)
        for item in overridden:
            self._warn(group, "ReplicasOverriddenByAdapter", item.message)
        await self._keep_revision(group)
        if names.DISCOVERY_MODE not in names.annotations_of(group):
            reloaded = await self._mark(group)
            if reloaded is None:
                return None
            # The answer replaces what was overridden in memory: in set children the adapter's number is lost.
            group, overridden = reloaded, []
        wanted = groups.wanted_replicas(group, overridden)
        await self._keep_config(group, wanted)
        statuses = await self._keep_status(group, wanted)
        await self._keep_pod_group(group, wanted)
        targets = self._targets(group, wanted, statuses)
        await asyncio.sleep(self._world.options.pass_seconds)
        await self._writer.remove_stale(group)
        await self._write_roles(group, wanted, targets, statuses)
        await self._writer.wait_until_observed(group)
        return None

    def _warn(self, group: Obj, reason: str, message: str) -> None:
        self._world.recorder.emit(group, "Warning", reason, message, _SOURCE)

    async def _mark(self, group: Obj) -> Obj | None:
        body = {"metadata": {"annotations": {names.DISCOVERY_MODE: "refine"}}}
        return await self._world.merge(GROUPS, group, body, "rolebasedgroup")

    async def _keep_revision(self, group: Obj) -> None:
        """A ControllerRevision for every spec that differs in more than replicas."""
        roles = [{k: v for k, v in role.items() if k != "replicas"} for role in groups.roles_of(group)]
        data = {"spec": {**group["spec"], "roles": roles}}
        digest = names.revision_hash(data)
        known = self._world.revisions.owned_by(names.uid_of(group))
        if any(names.labels_of(item).get(names.GROUP_REVISION) == digest for item in known):
            return
        number = max((int(item["revision"]) for item in known), default=0) + 1
        revision = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{names.name_of(group)}-{digest}-{number}",
                "namespace": names.namespace_of(group),
                "labels": {names.GROUP_NAME: names.name_of(group), names.GROUP_REVISION: digest},
                "ownerReferences": [names.owner_reference(group)],
            },
            "data": data,
            "revision": number,
        }
        await self._world.create(REVISIONS, revision, "rbg")

    async def _keep_config(self, group: Obj, wanted: Mapping[str, int]) -> None:
        text = groups.cluster_config(group, wanted)
        if self._configs.get(names.uid_of(group)) == text:
            return
        config = {
            "metadata": {
                "name": names.name_of(group),
                "namespace": names.namespace_of(group),
                "ownerReferences": [names.owner_reference(group)],
            },
            "data": {"config.yaml": text},
        }
        await self._world.apply(CONFIG_MAPS, config, "rbg")
        self._configs[names.uid_of(group)] = text

    async def _keep_status(self, group: Obj, wanted: Mapping[str, int]) -> dict[str, Obj]:
        """Write the status if it changed; the role statuses by name."""
        observed = self._observed(group)
        entries = groups.role_statuses(group, observed)
        generation = int(group["metadata"]["generation"])
        ready = groups.ready_condition(wanted, entries, generation)
        old = group.get("status") or {}
        status = {
            "observedGeneration": generation,
            "roleStatuses": entries,
            "conditions": names.with_condition(old.get("conditions") or [], ready, timestamp()),
        }
        if status != {field: old.get(field) for field in status}:
            identity = {"name": names.name_of(group), "namespace": names.namespace_of(group)}
            try:
                await self._world.apply(GROUPS, {"metadata": identity, "status": status}, "rbg", "status")
            except ApiError as error:
                raise RetryError(str(error)) from error
        return {entry["name"]: entry for entry in entries}

    def _observed(self, group: Obj) -> dict[str, Obj]:
        """What the workloads report, by role; absent workloads report zeros, lagging ones nothing."""
        observed = {}
        for role in groups.roles_of(group):
            api_version, kind = workloads.workload_kind(role)
            if kind not in WORKLOADS:
                reason = f'no matches for kind "{kind}" in version "{api_version}"'
                message = f"Failed to construct role {role['name']} status: {reason}"
                self._warn(group, "FailedReconcileWorkload", message)
                raise RetryError(message)
            live = self._writer.live_workload(group, role)
            seen = groups.ZERO if live is None else workloads.observed_status(live)
            if seen is not None:
                observed[role["name"]] = dict(seen)
        return observed

    async def _keep_pod_group(self, group: Obj, wanted: Mapping[str, int]) -> None:
        if names.annotations_of(group).get(names.GANG) != "true":
            return
        members = sum(wanted[role["name"]] * instance_size(role) for role in groups.roles_of(group))
        made = workloads.pod_group(group, members, names.annotations_of(group))
        try:
            live = await self._world.read(POD_GROUPS, *_key(group))
            if live is None or live["spec"] != made["spec"]:
                await self._world.apply(POD_GROUPS, made, "rbg")
        except ApiError as error:
            message = "scheduling plugin podgroups.scheduling.x-k8s.io not ready"
            self._warn(group, "FailedReconcilePodGroup", message)
            raise RetryError(message) from error

    def _targets(self, group: Obj, wanted: Mapping[str, int], statuses: Mapping[str, Obj]) -> dict[str, int]:
        policy = self._world.policies.get(*_key(group))
        if policy is None:
            return dict(wanted)
        try:
            rules = rules_of(policy)
        except PolicyError as error:
            self._warn(group, "FailedCalculateScaling", str(error))
            raise RetryError(str(error)) from error
        progress = {
            name: RoleProgress(
                desired=count,
                current=statuses[name]["replicas"],
                ready=statuses[name]["readyReplicas"],
                scheduled_pods=self._scheduled_pods(group, name),
            )
            for name, count in wanted.items()
        }
        return throttle(rules, progress)

    def _scheduled_pods(self, group: Obj, role: str) -> int:
        namespace, name = _key(group)
        live = self._world.instance_sets.get(namespace, names.workload_name(name, role))
        instances = self._world.instances.owned_by(names.uid_of(live)) if live else []
        pods = [pod for item in instances for pod in self._world.pods.owned_by(names.uid_of(item))]
        return sum(is_scheduled(pod) and not names.is_deleting(pod) for pod in pods)

    async def _write_roles(
        self,
        group: Obj,
        wanted: Mapping[str, int],
        targets: Mapping[str, int],
        statuses: Mapping[str, Obj],
    ) -> None:
        """Level by level; a level with a failed role is finished, then the pass ends and is tried again."""
        by_name = {role["name"]: role for role in groups.roles_of(group)}
        context = _context(group)
        for level in groups.levels(by_name.values()):
            failures = []
            for name in level:
                role = by_name[name]
                if groups.unmet_dependency(role, wanted, statuses):
                    failures.append(f"dependencies not met for role '{name}'")
                    if len(failures) == 1:
                        self._warn(group, "DependencyNotMet", failures[0])
                    continue
                try:
                    await self._writer.write(group, role, targets[name], context)
                except PatternError as error:
                    failures.append(str(error))
                    message = f"Failed to reconcile role {name}: {error}"
                    self._warn(group, "FailedReconcileWorkload", message)
                except (ComponentSizeMissing, ApiError) as error:
                    failures.append(str(error))
            if failures:
                raise RetryError("; ".join(failures))


def _key(group: Obj) -> Key:
    return names.namespace_of(group), names.name_of(group)


def _context(group: Obj) -> GroupContext:
    templates = {item["name"]: item["template"] for item in group["spec"].get("roleTemplates") or []}
    return GroupContext(
        namespace=names.namespace_of(group),
        group=names.name_of(group),
        group_uid=names.group_uid(group),
        role_templates=templates,
        gang=names.annotations_of(group).get(names.GANG) == "true",
    )
