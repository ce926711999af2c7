"""How a signal is made of an engine's series: a few small expressions, pure data.

An expression says which series are read and what is added to what; it never says where they are stored or
how they are asked for, which is the business of `observe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Shards(StrEnum):
    """How the data-parallel engines inside one pod become the pod's number."""

    SUM = "sum"
    """Queues, requests and rates add up."""
    MEAN = "avg"
    """Usages do not: two engines at 0.4 fill the pod's cache to 0.4, not to 0.8."""


@dataclass(frozen=True)
class Series:
    """One measure under the names it has had; a pod is read by the first name it exports, never by two.

    vLLM 0.9.2 to 0.11.2 export both `kv_cache_usage_perc` and `gpu_cache_usage_perc`: one value, two names.
    """

    names: tuple[str, ...]
    """As exposed (counters with `_total`, histograms with `_sum` or `_count`), newest first."""
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Label and its accepted values; the empty string also means "label absent". The series of several
    accepted values are added."""
    apart: tuple[str, ...] = ()
    """Labels that tell the engines inside one pod apart (dp_rank): their series are summed or averaged."""
    copies: tuple[str, ...] = ()
    """Labels whose series repeat one measure (tp_rank): the largest counts, once."""
    shards: Shards = Shards.SUM
    rate: bool = False
    """A counter, read as its increase per second."""
    scale: float = 1.0
    """Factor to the signal's unit: 0.01 for a usage in percent."""


@dataclass(frozen=True)
class Total:
    """The sum of different measures; a pod that lacks a required one does not report at all."""

    required: tuple[Series, ...]
    optional: tuple[Series, ...] = ()
    """Added where exported; 0 where the engine's version has no such queue."""


@dataclass(frozen=True)
class Ratio:
    """The mean of what was counted over the statistics window, else (idle before) over the pod's life.

    The names of both go in pairs: new hits over new queries, never new over old.
    """

    numerator: Series
    denominator: Series


@dataclass(frozen=True)
class PendingPrompt:
    """Prompt tokens waiting to be computed, for engines without such a gauge.

    waiting requests x mean prompt tokens x (1 - prefix hit rate). An empty queue is zero pending tokens,
    whatever the means; while requests wait, a pod whose mean prompt length is unknown (0/0: no request has
    finished yet) does not report. An unknown hit rate counts as 0, which can only overstate the work.
    """

    waiting: Total
    prompt_tokens: Ratio
    """Mean prompt length."""
    hit_rate: tuple[Ratio | Series, ...]
    """The first that yields a number counts."""


@dataclass(frozen=True)
class FirstOf:
    """Alternatives of one measure; a pod is read by the first that it exports."""

    options: tuple[Expression, ...]


Expression = Series | Total | PendingPrompt | FirstOf


@dataclass(frozen=True, eq=False)
class Preset:
    """How one signal is read for one engine and some kinds of role; equal only to itself.

    Roles whose kinds share a preset object share one query.
    """

    name: str
    """For logs and metrics: "vllm/QueueLength"."""
    expression: Expression
    leader_only: bool = True
    """Only the pod that answers for the instance exports it."""
    full_milli: int | None = None
    """What 100 % is, in thousandths, for Utilization targets; None where the signal has no ceiling."""

    @property
    def is_usage(self) -> bool:
        """Usages of several pods of an instance are averaged; everything else adds up."""
        return self.full_milli is not None


@dataclass(frozen=True, eq=False)
class Unsupported:
    """A signal that this engine does not tell for this kind of role, and what to use instead."""

    mend: str


def names(expression: Expression) -> tuple[str, ...]:
    """The series a pod must export for the expression, newest names first, for messages."""
    match expression:
        case Series():
            return expression.names
        case Total():
            return tuple(name for series in expression.required for name in series.names)
        case PendingPrompt():
            return names(expression.waiting) + expression.prompt_tokens.numerator.names
        case FirstOf():
            return tuple(name for option in expression.options for name in names(option))


def measured(expression: Expression) -> tuple[Series, ...]:
    """The series whose values and ages make the sample; means and hit rates only weigh them."""
    match expression:
        case Series():
            return (expression,)
        case Total():
            return expression.required + expression.optional
        case PendingPrompt():
            return measured(expression.waiting)
        case FirstOf():
            return tuple(series for option in expression.options for series in measured(option))
