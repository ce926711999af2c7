"""What is played: the group, its load over time, the signals shown, and how the controller is set up.

Plain data. Everything is about ten times faster than in life, where a model server starts in 1 to 3 minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from localplane.kube import Object
from localplane.nodes import GPU, NodePool
from localplane.programs import PACKAGES
from localplane.stages import START_UP

NAMESPACE = "serving"
GROUP = "deepseek"
USER = "rbg-autoscaler"
CONTROLLER_NAMESPACE = "rbg-autoscaler"
"""Where the controller's Lease is, as in `deploy/base`."""
MANIFEST = PACKAGES.parent.parent / "docs" / "examples" / "demo.yaml"

NODES = NodePool(count=8, gpus=8)
START_UP_SECONDS = 6
SCRAPE_SECONDS = 1.0
RATE_WINDOW_SECONDS = 5
"""Of token rates, in the controller's queries and in those of the view."""


@dataclass(frozen=True)
class Signal:
    """A signal as an operator would ask Prometheus for it: the mean of a role's replicas."""

    name: str
    promql: str
    """Gives one series a role, told apart by `role`; SERIES stands for the selector of the group."""
    unit: str = ""


QUEUE = "avg by (role) (vllm:num_requests_waiting{SERIES})"
PROMPT_LENGTH = (
    "sum by (role) (vllm:request_prompt_tokens_sum{SERIES})"
    " / sum by (role) (vllm:request_prompt_tokens_count{SERIES})"
)
SIGNALS = (
    Signal("QueueLength", QUEUE, "req"),
    Signal("PendingTokens", f"{QUEUE} * {PROMPT_LENGTH}", "tok"),
    Signal("KVCacheUsage", "avg by (role) (vllm:kv_cache_usage_perc{SERIES})"),
    Signal("PromptTokenRate", "avg by (role) (rate(vllm:prompt_tokens_total{SERIES}[WINDOW]))", "tok/s"),
    Signal(
        "GenerationTokenRate",
        "avg by (role) (rate(vllm:generation_tokens_total{SERIES}[WINDOW]))",
        "tok/s",
    ),
)
FIRST_TOKEN = (
    'sum(rate(vllm:time_to_first_token_seconds_sum{SERIES,role="prefill"}[WINDOW]))'
    ' / sum(rate(vllm:time_to_first_token_seconds_count{SERIES,role="prefill"}[WINDOW]))'
)
"""Seconds from a request to its first token, the mean over the last window."""


def promql(template: str) -> str:
    """A query of the tables above, for the demo's group."""
    series = f'namespace="{NAMESPACE}",group="{GROUP}"'
    return template.replace("SERIES", series).replace("WINDOW", f"{RATE_WINDOW_SECONDS}s")


@dataclass(frozen=True)
class Phase:
    """A stretch of the load: a straight line from the rate before to `to`, in requests/s."""

    name: str
    seconds: float
    to: float


@dataclass(frozen=True)
class Schedule:
    """The load over time, in seconds since it began."""

    phases: tuple[Phase, ...]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def peak(self) -> float:
        """The highest rate, in requests/s."""
        return max(phase.to for phase in self.phases)

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The corners as the engines want them: (seconds, requests/s)."""
        corners = [(0.0, self.phases[0].to)]
        for phase in self.phases:
            corners.append((corners[-1][0] + phase.seconds, phase.to))
        return tuple(corners)

    def phase_at(self, at_s: float) -> Phase:
        """The phase of a moment; the last one goes on."""
        end = 0.0
        for phase in self.phases:
            end += phase.seconds
            if at_s < end:
                return phase
        return self.phases[-1]

    @property
    def high(self) -> tuple[float, float]:
        """When the highest rate is reached, and when it is left."""
        at_peak = [at for at, rate in self.points if rate == self.peak]
        return at_peak[0], at_peak[-1]


LOAD = Schedule(
    (
        Phase("quiet", 10, 3.0),
        Phase("rising", 45, 40.0),
        Phase("high", 40, 40.0),
        Phase("falling", 20, 3.0),
        Phase("quiet again", 50, 3.0),
    )
)

REQUESTS: Mapping[str, Any] = {
    "model_name": "deepseek-ai/DeepSeek-V3",
    "prompt_tokens": 1000,
    "output_tokens": 200,
    "roles": {
        "router": {"kind": "router"},
        # 12 requests/s a replica: 4 replicas for 40 requests/s, 5 at the target of 9k tokens/s.
        "prefill": {"kind": "prefill", "prompt_tokens_per_s": 12_000, "max_waiting": 2000},
        # A request holds 1 100 tokens for 200 x 25 ms = 5 s: 40 requests/s hold 220k, which is 9 replicas at
        # 70 %.
        "decode": {"kind": "decode", "kv_tokens": 35_000, "itl_base_ms": 24, "max_waiting": 2000},
    },
}
"""What each request is, and what a replica of each role can do."""


@dataclass(frozen=True)
class Role:
    """A role of the group: `pods` pods of `gpus` GPUs each make one replica."""

    name: str
    pods: int = 1
    gpus: int = 0
    adapter: bool = False
    replicas: int = 1

    @property
    def gang(self) -> str:
        """The shape of one replica in words."""
        if not self.gpus:
            return "1 pod without GPU"
        if self.pods == 1:
            return f"1 pod x {self.gpus} GPUs"
        return f"gang of {self.pods} pods x {self.gpus} GPUs"

    def manifest(self) -> Object:
        """The role in the RoleBasedGroup's spec."""
        resources = {"limits": {GPU: str(self.gpus)}} if self.gpus else {}
        container = {"name": "engine", "image": f"{self.name}:v1", "resources": resources}
        start_up = {START_UP: f"{START_UP_SECONDS}s"}
        template = {"metadata": {"annotations": start_up}, "spec": {"containers": [container]}}
        role: Object = {
            "name": self.name,
            "replicas": self.replicas,
            "scalingAdapter": {"enable": self.adapter},
        }
        if self.pods == 1:
            return {**role, "standalonePattern": {"template": template}}
        return {**role, "leaderWorkerPattern": {"size": self.pods, "template": template}}


ROLES = (
    Role("router"),
    Role("prefill", gpus=4, adapter=True),
    Role("decode", pods=2, gpus=2, replicas=2),
)


def group() -> Object:
    """The RoleBasedGroup."""
    return {
        "apiVersion": "workloads.x-k8s.io/v1alpha2",
        "kind": "RoleBasedGroup",
        "metadata": {"name": GROUP},
        "spec": {"roles": [role.manifest() for role in ROLES]},
    }


def autoscaler() -> Object:
    """The RbgAutoscaler, as users see it in the examples."""
    return dict(yaml.safe_load(MANIFEST.read_text()))


def settings(prometheus_url: str, port: int) -> Object:
    """The controller's settings file: the defaults but for the pace of the demo."""
    return {
        "sources": {
            "default": {
                "url": prometheus_url,
                "maxAgeSeconds": 5,
                "readyGraceSeconds": 3,
                "rateWindowSeconds": RATE_WINDOW_SECONDS,
            }
        },
        "syncPeriodSeconds": 1,
        "lease": {"namespace": CONTROLLER_NAMESPACE},
        "server": {"port": port},
        "log": {"format": "text"},
    }
