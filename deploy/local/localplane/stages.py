"""What kwok does with nodes and pods, in place of kubelets: its Stage objects.

A bound pod starts for its start-up time (Pending), then runs; it is Ready once its containers are and the
condition of each of its readiness gates is True, and no longer. A changed image restarts it where it is.
Annotations of a pod: `localplane/start-up` and `localplane/shut-down` (durations such as "1m40s"), and
`localplane/unready: "1"`, which lets its readiness probe fail.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import yaml

Stage = dict[str, Any]

START_UP = "localplane/start-up"
SHUT_DOWN = "localplane/shut-down"
UNREADY = "localplane/unready"

# kwok plays a delayed stage `delay` after the pod's latest change: a pod written to at 5 s of 6 s would start
# anew. The beginning is therefore kept in a condition, and the delay is what is left, here 1 s.
_STARTING_SINCE = "starting since ms "
_PROBE_FAILS = "the readiness probe fails"
_WAITS_FOR_GATES = "the status of a pod readiness gate is not True"


def stages_file(start_up: str) -> str:
    """All stages as one YAML file; `start_up` is the duration for pods without the annotation."""
    stages = [_node_initialize(), *_pod_stages(start_up)]
    return yaml.safe_dump_all(stages, sort_keys=False, width=1000)


def _pod_stages(start_up: str) -> list[Stage]:
    return [
        _pod("starting", [_BOUND, (f"{_condition('ContainersReady')} == null", True)], _STARTING),
        _pod(
            "started",
            [_is("ContainersReady", "False"), _says(_STARTING_SINCE), _probe_fails(False)],
            _STARTED,
            delay=_rest_of_start_up(start_up),
        ),
        _pod("image-changed", [_RUNNING, _IMAGE_CHANGED], _RESTARTING),
        _pod("probe-fails", [_RUNNING, _is("ContainersReady", "True"), _probe_fails(True)], _UNREADY),
        _pod("probe-recovers", [_RUNNING, _says(_PROBE_FAILS), _probe_fails(False)], _READY_AGAIN),
        _pod(
            "ready",
            [_is("ContainersReady", "True"), (_GATES_OPEN, True), (_ready_is("True"), False)],
            _conditions(("Ready", "True", "", "")),
        ),
        _pod(
            "gates-closed",
            [
                _is("ContainersReady", "True"),
                (_GATES_OPEN, False),
                (_ready_is("False", "ReadinessGatesNotReady"), False),
            ],
            _conditions(("Ready", "False", "ReadinessGatesNotReady", _WAITS_FOR_GATES)),
        ),
        _pod_delete(),
    ]


# Selectors: a jq expression and the boolean it must give. kwok takes an erring expression as a match of
# "not in", so every expression answers true or false itself.

Selector = tuple[str, bool]


def _condition(kind: str) -> str:
    return f'([.status.conditions[]? | select(.type == "{kind}")] | first)'


def _is(kind: str, status: str) -> Selector:
    return f'{_condition(kind)}.status == "{status}"', True


def _says(words: str) -> Selector:
    return f'({_condition("ContainersReady")}.message // "") | startswith("{words}")', True


def _ready_is(status: str, reason: str = "") -> str:
    of = _condition("Ready")
    return f'{of}.status == "{status}" and ({of}.reason // "") == "{reason}"'


def _probe_fails(answer: bool) -> Selector:
    return f'(.metadata.annotations["{UNREADY}"] // "") == "1"', answer


_BOUND: Selector = ('(.spec.nodeName // "") != "" and .status.phase == "Pending"', True)
_RUNNING: Selector = ('.status.phase == "Running"', True)
_IMAGE_CHANGED: Selector = (
    f'{_condition("ContainersReady")}.status == "True" and'
    " ([.spec.containers[] | [.name, .image]] | sort)"
    " != ([.status.containerStatuses[]? | [.name, .image]] | sort)",
    True,
)
_GATES_OPEN = (
    "([.spec.readinessGates[]?.conditionType]"
    ' - [.status.conditions[]? | select(.status == "True") | .type]) | length == 0'
)


def _rest_of_start_up(default: str) -> str:
    """A jq expression: the start-up time minus what has passed of it, e.g. "1420ms"."""
    seconds = (
        '([scan("([0-9.]+)(ms|s|m|h)") | (.[0] | tonumber) * {ms: 0.001, s: 1, m: 60, h: 3600}[.[1]]] | add)'
    )
    since = f'({_condition("ContainersReady")}.message | ltrimstr("{_STARTING_SINCE}") | tonumber / 1000)'
    annotation = f'(.metadata.annotations["{START_UP}"] // "{default}")'
    left = f"[$all - (now - {since}), 0] | max * 1000 | floor | tostring"
    return f'({annotation} | {seconds}) as $all | ({left}) + "ms"'


# Status templates: Go templates that give the YAML of the part of .status that changes.


def _conditions(*conditions: tuple[str, str, str, str]) -> str:
    """Conditions as (type, status, reason, message); empty strings overwrite what was said before."""
    lines = ["conditions:"]
    for kind, status, reason, message in conditions:
        lines += [
            f"- type: {kind}",
            f'  status: "{status}"',
            f'  reason: "{reason}"',
            f'  message: "{message}"',
            "  lastTransitionTime: {{ Now | Quote }}",
        ]
    return "\n".join(lines) + "\n"


def _containers(
    ready: str,
    state: str,
    image: str = "$item.image",
    restarts: str = "{{ $was.restartCount | default 0 }}",
) -> str:
    """The statuses of all containers; `$was` is the container's status so far, if it has one."""
    text = dedent(
        """\
        {{ $root := . }}
        containerStatuses:
        {{ range $index, $item := .spec.containers }}
        {{ $was := dict }}
        {{ range $root.status.containerStatuses }}
        {{ if eq .name $item.name }}{{ $was = . }}{{ end }}
        {{ end }}
        - name: {{ $item.name | Quote }}
          image: {{ IMAGE | Quote }}
          imageID: {{ printf "kwok://%s" IMAGE | Quote }}
          ready: READY
          started: READY
          restartCount: RESTARTS
          state: STATE
        {{ end }}
        """
    )
    for word, value in (("READY", ready), ("IMAGE", image), ("RESTARTS", restarts), ("STATE", state)):
        text = text.replace(word, value)
    return text


_STARTING_CONDITIONS = _conditions(
    ("ContainersReady", "False", "ContainersNotReady", _STARTING_SINCE + "{{ (now).UnixMilli }}"),
    ("Ready", "False", "ContainersNotReady", "containers with unready status"),
)
_WAITING = "{waiting: {reason: ContainerCreating}}"
_NOW_RUNNING = "{running: {startedAt: {{ Now | Quote }}}}"
_STILL_RUNNING = "{{ $was.state | toJson }}"

_STARTING = (
    _STARTING_CONDITIONS
    + dedent(
        """\
        - type: Initialized
          status: "True"
          lastTransitionTime: {{ Now | Quote }}
        hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
        startTime: {{ Now | Quote }}
        """
    )
    + _containers("false", _WAITING)
)

# A pod that ran already was restarted. Without gates it is Ready at once; else its gates decide, in a write
# of their own.
_STARTED = (
    dedent(
        """\
        {{ $again := eq .status.phase "Running" }}
        phase: Running
        {{ if not .status.podIP }}
        podIP: {{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace | Quote }}
        {{ end }}
        """
    )
    + _conditions(("ContainersReady", "True", "", ""))
    + dedent(
        """\
        {{ if not .spec.readinessGates }}
        - type: Ready
          status: "True"
          reason: ""
          message: ""
          lastTransitionTime: {{ Now | Quote }}
        {{ end }}
        """
    )
    + _containers(
        "true",
        _NOW_RUNNING,
        restarts="{{ if $again }}{{ add1 ($was.restartCount | default 0) }}{{ else }}0{{ end }}",
    )
)

# The old image stays in the status until the new one runs: that is how an in-place update is seen to be over.
_RESTARTING = _STARTING_CONDITIONS + _containers("false", _WAITING, image="$was.image")

_UNREADY = _conditions(
    ("ContainersReady", "False", "ContainersNotReady", _PROBE_FAILS),
    ("Ready", "False", "ContainersNotReady", _PROBE_FAILS),
) + _containers("false", _STILL_RUNNING)

_READY_AGAIN = _conditions(("ContainersReady", "True", "", "")) + _containers("true", _STILL_RUNNING)


def _pod(name: str, selectors: list[Selector], status: str, delay: str | None = None) -> Stage:
    alive: Selector = (".metadata.deletionTimestamp == null", True)
    return _stage("Pod", f"pod-{name}", [alive, *selectors], {"statusTemplate": status}, delay)


def _pod_delete() -> Stage:
    wait = f'.metadata.annotations["{SHUT_DOWN}"] // "0s"'
    # A pod that goes at once, with grace 0, needs no kwok: that deletes by name and, lagging behind, would
    # hit a new pod of the same name.
    going = ".metadata.deletionTimestamp != null and .metadata.deletionGracePeriodSeconds != 0"
    terminating: Selector = (going, True)
    return _stage("Pod", "pod-delete", [terminating], {"finalizers": {"empty": True}, "delete": True}, wait)


def _node_initialize() -> Stage:
    status = dedent(
        """\
        conditions:
        {{ range NodeConditions }}
        - type: {{ .type | Quote }}
          status: {{ .status | Quote }}
          reason: {{ .reason | Quote }}
          message: {{ .message | Quote }}
          lastHeartbeatTime: {{ Now | Quote }}
          lastTransitionTime: {{ Now | Quote }}
        {{ end }}
        addresses:
        - type: InternalIP
          address: {{ NodeIP | Quote }}
        - type: Hostname
          address: {{ .metadata.name | Quote }}
        """
    )
    unready: Selector = (f'{_condition("Ready")}.status == "True"', False)
    return _stage("Node", "node-initialize", [unready], {"statusTemplate": status})


def _stage(kind: str, name: str, selectors: list[Selector], then: Stage, delay: str | None = None) -> Stage:
    expressions = [
        {"key": expression, "operator": "In", "values": [str(answer).lower()]}
        for expression, answer in selectors
    ]
    spec: Stage = {
        "resourceRef": {"apiGroup": "v1", "kind": kind},
        "selector": {"matchExpressions": expressions},
        "next": then,
    }
    if delay is not None:
        spec["delay"] = {"durationMilliseconds": 0, "durationFrom": {"expressionFrom": delay}}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}
