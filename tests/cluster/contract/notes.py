"""Recorded steps that are no single request: lists of pods, races, policies, a controller stopped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from contract.coverage import UNCOMPARED_NOTES
from contract.digest import differences
from contract.recording import PREFIX, Step
from contract.requests import API_VERSION, W, local_body

if TYPE_CHECKING:
    from contract.replay import Replay

Obj = dict[str, Any]
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
POLICIES = "/apis/admissionregistration.k8s.io/v1"
CHANGED = "pods changed since the last list (uid prefix, phase)"
ALL = "pods (uid prefix, phase)"


async def perform(replay: Replay, step: Step) -> bool:
    """Do what the note says and compare what it recorded; False if nobody knows how."""
    for words, handler in _HANDLERS:
        if words in step.note:
            await handler(replay, step)
            return True
    if "pods" in step.response or CHANGED in step.response or ALL in step.response:
        await _pods(replay, step)
        return True
    return False


def _problem(replay: Replay, step: Step, text: str) -> None:
    replay.outcome.problems.append(f"{replay.id} note at {step.t} s {step.note[:40]!r}: {text}")


async def _pods(replay: Replay, step: Step) -> None:
    pods = await replay.listed("pods", core=True)
    by_name = {pod["metadata"]["name"]: pod for pod in pods}
    uids = {name: pod["metadata"]["uid"] for name, pod in by_name.items()}
    changed = {name for name in uids if replay.pods_before.get(name) != uids[name]}
    replay.pods_before = uids
    for words, reason in UNCOMPARED_NOTES.items():
        if step.note.startswith(words):
            replay.outcome.skipped.append(f"{step.note!r}: {reason}")
            return
    recorded = step.response
    for key, names in ((ALL, set(uids)), (CHANGED, changed)):
        if key in recorded:
            wanted = {name: text.split()[1] for name, text in recorded[key].items()}
            now = {name: by_name[name]["status"]["phase"] for name in names}
            if wanted != now:
                _problem(replay, step, f"recorded {wanted}, now {now}")
    if "pods" in recorded:
        replay.outcome.compared += 1
        await _compare_pods(replay, step, recorded["pods"], by_name)
    if "scaleStrategy" in recorded:
        (live,) = await replay.listed("roleinstancesets")
        if (live["spec"].get("scaleStrategy") or {}) != recorded["scaleStrategy"]:
            _problem(replay, step, f"scaleStrategy is {live['spec']['scaleStrategy']}")


async def _compare_pods(replay: Replay, step: Step, recorded: Any, by_name: dict[str, Obj]) -> None:
    if isinstance(recorded, list):
        described = [_described(pod) for pod in by_name.values()]
        pending = [name for name, pod in by_name.items() if not pod["spec"].get("nodeName")]
        now: Any = sorted(described) if any(":" in str(item) for item in recorded) else sorted(pending)
        if sorted(recorded) != now:
            _problem(replay, step, f"recorded {recorded}, now {now}")
        return
    wanted = {name: _place(entry) for name, entry in recorded.items()}
    images = any(isinstance(entry, list) for entry in recorded.values())
    now = {name: _live_place(pod, images) for name, pod in by_name.items()}
    if replay.id == "s10b":
        if Counter(map(str, wanted.values())) != Counter(map(str, now.values())):
            _problem(replay, step, f"recorded {wanted}, now {now}")
    elif wanted != now:
        _problem(replay, step, f"recorded {wanted}, now {now}")


def _place(entry: Any) -> Any:
    """Which node does not matter, whether there is one does."""
    if isinstance(entry, list):
        return [entry[0] is not None, entry[1]]
    return entry is not None


def _live_place(pod: Obj, images: bool) -> Any:
    placed = bool(pod["spec"].get("nodeName"))
    return [placed, [c["image"] for c in pod["spec"]["containers"]]] if images else placed


def _described(pod: Obj) -> str:
    """As s18 recorded it."""
    labels = pod["metadata"]["labels"]
    get = {key.removeprefix(PREFIX): value for key, value in labels.items()}
    component = f"{get['component-name']}/{get['component-id']}/{get.get('component-index')}"
    return (
        f"{pod['metadata']['name']}: role-instance-name {get['role-instance-name']}, "
        f"role-instance-index {get['role-instance-index']}, statefulset.kubernetes.io/pod-name "
        f"{labels['statefulset.kubernetes.io/pod-name']}, component {component}, size {get['component-size']}"
    )


async def _restart_policies(replay: Replay, step: Step) -> None:
    live = {item["metadata"]["name"]: item["spec"] for item in await replay.listed("roleinstances")}
    for problem in differences(step.response, live):
        _problem(replay, step, problem)


async def _deny(replay: Replay, step: Step) -> None:
    """An admission policy against the controller's writes to adapters, told by their field manager."""
    resources = [r.strip("' ") for r in step.note.split("[")[1].rstrip("]").split(",")]
    name = f"deny-{replay.namespace}"
    rule = {
        "apiGroups": ["workloads.x-k8s.io"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": resources,
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": replay.namespace}}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
            "validations": [
                {"expression": "!has(request.options.fieldManager) || request.options.fieldManager != 'rbg'"}
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    for kind, body in (("ies", policy), ("ybindings", binding)):
        code, answer = await replay.client.answer("POST", f"{POLICIES}/validatingadmissionpolic{kind}", body)
        if code != 201:
            _problem(replay, step, f"policy not created: {code} {answer.get('message')}")
    # A policy is enforced some seconds after it was made; nothing tells when.
    await asyncio.sleep(3.0)


async def _allow(replay: Replay, step: Step) -> None:
    for kind in ("ybindings", "ies"):
        await replay.client.answer(
            "DELETE", f"{POLICIES}/validatingadmissionpolic{kind}/deny-{replay.namespace}"
        )


async def _restart_controller(replay: Replay, step: Step) -> None:
    await asyncio.to_thread(replay.controller.kill)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(replay.controller.restart)


async def _race(replay: Replay, step: Step) -> None:
    """Two writers, 20 rounds each: guarded ones must exclude each other, and everything ends in agreement."""
    adapter = f"{W}/{replay.namespace}/rolebasedgroupscalingadapters/g-p/scale"
    group = f"{W}/{replay.namespace}/rolebasedgroups/g"
    race = step.note.split("each: ")[1]
    codes: Counter[str] = Counter()

    async def write(number: int) -> None:
        value = {"guarded JSON patch on the RBG": 3, "PUT of the RBG with resourceVersion": 4}.get(race, 3)
        for turn in range(20):
            now = value if turn == 19 else 2 + (turn + number) % 2
            codes[str(await _one_write(replay, race, adapter, group, now))] += 1

    await asyncio.gather(write(0), write(1))
    recorded = set(step.response["codes"])
    if sum(codes.values()) != 40 or not set(codes) <= recorded:
        _problem(replay, step, f"recorded codes {sorted(recorded)}, now {dict(codes)}")
    await _force(replay, race, adapter, group)
    await asyncio.sleep(1.0)
    await replay.until(replay.groups_ready, 20.0)


async def _one_write(replay: Replay, race: str, adapter: str, group: str, value: int) -> int:
    call = replay.client.answer
    if race.startswith("guarded merge patch"):
        _, live = await call("GET", adapter)
        version = live["metadata"]["resourceVersion"]
        body: Any = {"metadata": {"resourceVersion": version}, "spec": {"replicas": value}}
        return (await call("PATCH", adapter, body, content_type=MERGE))[0]
    if race.startswith("unguarded"):
        return (await call("PATCH", adapter, {"spec": {"replicas": value}}, content_type=MERGE))[0]
    _, live = await call("GET", group)
    role = live["spec"]["roles"][1]
    if race.startswith("guarded JSON patch"):
        at = "/spec/roles/1/replicas"
        body = [
            {"op": "test", "path": at, "value": role["replicas"]},
            {"op": "replace", "path": at, "value": role["replicas"] % 4 + 1},
        ]
        return (await call("PATCH", group, body, content_type=JSON_PATCH))[0]
    role["replicas"] = role["replicas"] % 4 + 1
    return (await call("PUT", group, live))[0]


async def _force(replay: Replay, race: str, adapter: str, group: str) -> None:
    """Bring the number to what the recording ended with, so that its later answers can be compared."""
    if "/scale" in race:
        await replay.client.answer("PATCH", adapter, {"spec": {"replicas": 3}}, content_type=MERGE)
        return
    value = 3 if "JSON" in race else 4
    body = [{"op": "replace", "path": "/spec/roles/1/replicas", "value": value}]
    await replay.client.answer("PATCH", group, body, content_type=JSON_PATCH)


async def _steps_up(replay: Replay, step: Step) -> None:
    """One step of +1 (of the recorded ten): the number goes from the adapter to the group to the set."""
    plural, role = ("rolebasedgroupscalingadapters", "p")
    if "leader-worker" in step.note:
        role = "w"
    if "JSON patch" in step.note:
        await _grow_plain(replay, step)
        return
    path = f"{W}/{replay.namespace}/{plural}/g-{role}/scale"
    _, live = await replay.client.answer("GET", path)
    wanted = live["spec"]["replicas"] + 1
    start = len(replay.observatory.values[replay.namespace])
    await replay.client.answer("PATCH", path, {"spec": {"replicas": wanted}}, content_type=MERGE)
    chain = [
        (f"rbgsa/g-{role}", "spec.replicas"),
        ("rbg/g", f"replicas.{role}"),
        (f"rbgsa/g-{role}", "status.replicas"),
        (f"ris/g-{role}", "status.replicas"),
    ]
    await _in_order(replay, step, start, chain, wanted)


async def _grow_plain(replay: Replay, step: Step) -> None:
    path = f"{W}/{replay.namespace}/rolebasedgroups/g"
    _, live = await replay.client.answer("GET", path)
    names = [role["name"] for role in live["spec"]["roles"]]
    index = next(i for i, role in enumerate(live["spec"]["roles"]) if "scalingAdapter" not in role)
    wanted = live["spec"]["roles"][index]["replicas"] + 1
    start = len(replay.observatory.values[replay.namespace])
    body = [{"op": "replace", "path": f"/spec/roles/{index}/replicas", "value": wanted}]
    await replay.client.answer("PATCH", path, body, content_type=JSON_PATCH)
    name = names[index]
    chain = [
        ("rbg/g", f"replicas.{name}"),
        (f"ris/g-{name}", "spec.replicas"),
        (f"ris/g-{name}", "status.replicas"),
    ]
    await _in_order(replay, step, start, chain, wanted)


async def _in_order(
    replay: Replay, step: Step, start: int, chain: list[tuple[str, str]], wanted: int
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 20
    while loop.time() < deadline:
        seen = replay.observatory.values[replay.namespace][start:]
        first = {v.track: v.t for v in reversed(seen) if v.value == wanted}
        if all(track in first for track in chain):
            break
        await asyncio.sleep(0.02)
    replay.outcome.compared += 1
    times = [first.get(track) for track in chain]
    if None in times:
        _problem(replay, step, f"{wanted} did not reach {chain[times.index(None)]}")
    elif any(b < a - 0.05 for a, b in pairwise(times) if a is not None and b is not None):
        _problem(replay, step, f"not in the order {chain}: {times}")


async def _scale_down(replay: Replay, step: Step) -> None:
    path = f"{W}/{replay.namespace}/rolebasedgroupscalingadapters/g-p/scale"
    await replay.client.answer("PATCH", path, {"spec": {"replicas": 1}}, content_type=MERGE)


async def _bound_race(replay: Replay, step: Step) -> None:
    """Some new groups (of the recorded 10 or 20); a /scale write at the first sight of Bound must be kept."""
    count = 6
    wait = 2.0 if "sent 2 s after" in step.note else 0.0

    async def one(number: int) -> str:
        name = f"r{int(wait)}{number}"
        template = {"spec": {"containers": [{"name": "engine", "image": "sglang:v1"}]}}
        role = {"name": "p", "replicas": 1, "scalingAdapter": {"enable": True}}
        group = {
            "kind": "RoleBasedGroup",
            "apiVersion": API_VERSION,
            "metadata": {"name": name},
            "spec": {"roles": [{**role, "standalonePattern": {"template": template}}]},
        }
        base = f"{W}/{replay.namespace}"
        await replay.client.answer(
            "POST", f"{base}/rolebasedgroups", local_body(group, replay.namespace, None, replay.pool)
        )
        track = (f"rbgsa/{name}-p", "status.phase")
        bound = lambda: replay.observatory.last(replay.namespace, 0).get(track) == "Bound"  # noqa: E731
        await replay.until(bound, 30.0, 0.01)
        await asyncio.sleep(wait)
        scale = f"{base}/rolebasedgroupscalingadapters/{name}-p/scale"
        code, _ = await replay.client.answer("PATCH", scale, {"spec": {"replicas": 3}}, content_type=MERGE)
        await asyncio.sleep(4.0)
        last = replay.observatory.last(replay.namespace, 0)
        adapter, ris = last[f"rbgsa/{name}-p", "spec.replicas"], last[f"ris/{name}-p", "spec.replicas"]
        return f"HTTP {code}, adapter {adapter}, rbg {last[f'rbg/{name}', 'replicas.p']}, ris {ris}"

    outcomes = set(await asyncio.gather(*(one(number) for number in range(count))))
    wanted = {text.split(", selector")[0] for text in step.response["outcomes"]}
    replay.outcome.compared += count
    if not outcomes <= wanted:
        _problem(replay, step, f"recorded {wanted}, now {outcomes}")


_HANDLERS: list[tuple[str, Callable[[Replay, Step], Awaitable[None]]]] = [
    ("restart policy in the RoleInstances", _restart_policies),
    ("admission policy denies", _deny),
    ("policy removed", _allow),
    ("controller stopped (SIGTERM) and started again", _restart_controller),
    ("race of two writers", _race),
    ("steps of +1", _steps_up),
    ("scale-down 11->1", _scale_down),
    ("first watch event with phase Bound", _bound_race),
    ("first GET with phase Bound", _bound_race),
]
