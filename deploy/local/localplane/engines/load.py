"""What is offered to a group and what a replica of each role can do: plain values, all of them settable.

A rate is a function of time only (constant, or straight lines between the points of a schedule), so two
runs of the same load over the same pods are equal.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_RATE = 1e6
MAX_TOKENS = 1e7


@dataclass(frozen=True)
class Kind:
    """What a role does with a request: computes its prompt, generates its tokens, both or neither."""

    name: str
    prompts: bool
    generates: bool


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("prefill", prompts=True, generates=False),
        Kind("decode", prompts=False, generates=True),
        Kind("aggregated", prompts=True, generates=True),
        Kind("router", prompts=False, generates=False),
    )
}

_NAMES_OF_KINDS = {
    "prefill": ("prefill",),
    "decode": ("decode",),
    "router": ("router", "frontend", "gateway", "proxy", "epp", "planner", "scheduler"),
}


@dataclass(frozen=True)
class RoleSpec:
    """One role: its kind and what one ready replica of it holds and does.

    The defaults are one H100 serving Llama-3.1-8B bf16 under vLLM as the public model aiconfigurator 0.12.0
    computes it (modelled, not measured): 47 100 prompt tokens/s at prompts of 2 048 tokens, 437 000 KV
    tokens, and a decode step of 6.378 ms + 0.04443 ms per 1 000 KV tokens in use + 0.008927 ms per running
    request.
    """

    kind: str = field(default="aggregated", metadata={"choices": tuple(KINDS)})
    prompt_tokens_per_s: float = field(default=47_100.0, metadata={"low": 1e-3, "high": MAX_TOKENS})
    """Uncached prompt tokens a replica computes in a second."""
    generation_tokens_per_s: float = field(default=MAX_TOKENS, metadata={"low": 1e-3, "high": MAX_TOKENS})
    """A ceiling above what the step time gives; a low one makes decode slow whatever its KV holds."""
    kv_tokens: float = field(default=437_000.0, metadata={"low": 1.0, "high": 1e9})
    max_running: float = field(default=256.0, metadata={"low": 1.0, "high": 1e6})
    """vLLM's max_num_seqs: requests a replica generates for at once."""
    itl_base_ms: float = field(default=6.378, metadata={"low": 1e-3, "high": 1e5})
    itl_ms_per_1k_kv: float = field(default=0.04443, metadata={"low": 0.0, "high": 1e5})
    itl_ms_per_request: float = field(default=0.008927, metadata={"low": 0.0, "high": 1e5})
    prompt_share: float = field(default=0.5, metadata={"low": 0.01, "high": 0.95})
    """Share of an aggregated replica's time that prompts may take; a prefill replica gives all of it."""
    max_waiting: float = field(default=float("inf"), metadata={"low": 0.0, "high": float("inf")})
    """Requests that may wait in the role; more are refused and counted as dropped."""
    skew: float = field(default=0.0, metadata={"low": 0.0, "high": 0.95})
    """0 gives ready instances equal shares; 0.5 shares that rise in a line from 0.5 to 1.5 of the mean."""
    export_all_pods: bool = False
    """Every pod of an instance exports its leader's values, as if each rank had a server: sums mislead."""
    dp_ranks: int = field(default=1, metadata={"low": 1, "high": 64})
    """Data-parallel ranks a pod exports separately; their values add up."""
    tp_ranks: int = field(default=1, metadata={"low": 1, "high": 64})
    """Tensor-parallel ranks that each export the same values (SGLang); their values do not add up."""

    @property
    def prompts(self) -> bool:
        return KINDS[self.kind].prompts

    @property
    def generates(self) -> bool:
        return KINDS[self.kind].generates

    @property
    def first_token_only(self) -> bool:
        """A prefill engine answers each request with its first token and hands the rest on."""
        return self.prompts and not self.generates


@dataclass(frozen=True)
class Load:
    """What is offered to one group, and the engine its roles pretend to be."""

    engine: str = "vllm"
    version: str = ""
    backend: str = ""
    """The engine whose series a Dynamo worker passes through beside its own."""
    explicit_timestamps: bool = False
    """Every sample carries its time, as some exporters' do. Prometheus then sees frozen samples grow old, and
    does not notice at once that a series has ended."""
    loads_on_page: bool = False
    """SGLang's second page joined to the first, as a Prometheus sees it that scrapes both."""
    model_name: str = "meta-llama/Llama-3.1-8B-Instruct"
    requests_per_s: float = field(default=0.0, metadata={"low": 0.0, "high": MAX_RATE})
    prompt_tokens: float = field(default=2000.0, metadata={"low": 1.0, "high": MAX_TOKENS})
    output_tokens: float = field(default=200.0, metadata={"low": 1.0, "high": MAX_TOKENS})
    prefix_hit_rate: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0})
    schedule: tuple[tuple[float, float], ...] = ()
    """(seconds since the load was set, requests/s), straight lines between; the last rate stays."""
    roles: Mapping[str, RoleSpec] = field(default_factory=dict)

    def rate_at(self, seconds: float) -> float:
        """Requests/s `seconds` after the load was set; they start at `requests_per_s` if no point is at 0."""
        points = self.schedule
        if not points:
            return self.requests_per_s
        if points[0][0] > 0:
            points = ((0.0, self.requests_per_s), *points)
        after = bisect_right(points, seconds, key=lambda point: point[0])
        if after == 0:
            return points[0][1]
        if after == len(points):
            return points[-1][1]
        (t0, r0), (t1, r1) = points[after - 1], points[after]
        return r0 + (r1 - r0) * (seconds - t0) / (t1 - t0)

    def role(self, name: str) -> RoleSpec:
        """The role's specification: as set, else the defaults of the kind its name suggests."""
        return self.roles.get(name) or RoleSpec(kind=kind_of(name))


def kind_of(role: str) -> str:
    """The kind a role's name suggests: "p-prefill" prefill, "epp" router, anything unknown aggregated."""
    for kind, words in _NAMES_OF_KINDS.items():
        if any(word in role.lower() for word in words):
            return kind
    return "aggregated"
