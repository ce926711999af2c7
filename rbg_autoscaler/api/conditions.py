"""The conditions and reasons that status, events and commands give, as the reference page tells them.

AbleToScale, ScalingActive, ScalingLimited and ScaledToZero are HPA's, with its reasons.
"""

from __future__ import annotations

from typing import NamedTuple


class Reason(NamedTuple):
    """A reason, with the condition's status where it belongs to a condition."""

    name: str
    when: str
    status: str = ""


class Table(NamedTuple):
    """Reasons of one kind."""

    title: str
    meaning: str
    reasons: tuple[Reason, ...]


CONDITIONS = (
    Table(
        "Ready",
        "Every role is read, decided and can be written.",
        (
            Reason("AsExpected", "it is so", "True"),
            Reason("...", "that of AbleToScale, ScalingActive or *Nothing is decided* below", "False"),
        ),
    ),
    Table(
        "AbleToScale",
        "Replica counts can be read and written; of the whole and of each role.",
        (
            Reason("SucceededGetScale", "the role's replica count was read", "True"),
            Reason("SucceededRescale", "a new count was written", "True"),
            Reason("ReadyForNewScale", "no window holds the number", "True"),
            Reason("ScaleUpStabilized", "a smaller number asked for within the window holds it", "True"),
            Reason("ScaleDownStabilized", "a larger number asked for within the window holds it", "True"),
            Reason("FailedUpdateScale", "the write was refused or failed", "False"),
            Reason("...", "one of *The role is not written* below", "False"),
        ),
    ),
    Table(
        "ScalingActive",
        "The metrics give a number; of the whole and of each role.",
        (
            Reason("ValidMetricFound", "at least one metric asks for a number that is used", "True"),
            Reason("ScalingDisabled", "the role was set to 0 replicas by somebody else", "False"),
            Reason("FailedGetPodsMetric", "the first metric without a number: a signal, or Pods", "False"),
            Reason("FailedGetResourceMetric", "likewise: a signal with a Utilization target", "False"),
            Reason("FailedGetObjectMetric", "likewise: Object", "False"),
            Reason("FailedGetExternalMetric", "likewise: External, or Query", "False"),
            Reason("InvalidMetricSourceType", "likewise: of a kind that cannot be read", "False"),
        ),
    ),
    Table(
        "ScalingLimited",
        "Something cut the number; of the whole and of each role.",
        (
            Reason("DesiredWithinRange", "nothing did", "False"),
            Reason("TooFewReplicas", "minReplicas did", "True"),
            Reason("TooManyReplicas", "maxReplicas did", "True"),
            Reason("ScaleUpLimit", "the limit of the rate of raising did", "True"),
            Reason("ScaleDownLimit", "the limit of the rate of lowering did", "True"),
            Reason("...", "one of *A later stage changed the number* below", "True"),
        ),
    ),
    Table(
        "ScaledToZero",
        "The controller itself brought the role to 0 and may wake it; of a role.",
        (Reason("ScaledToZero", "it did", "True"), Reason("NotScaledToZero", "it did not", "False")),
    ),
    Table(
        "MetricsAvailable",
        "Every metric that was read has a value.",
        (
            Reason("AllRead", "it is so", "True"),
            Reason("Partial", "some instances do not report, so these metrics lower nothing", "True"),
            Reason("...", "one of *A metric has no value* below", "False"),
        ),
    ),
    Table(
        "Conflict",
        "Somebody else writes the replica count of a role.",
        (
            Reason("NoConflict", "nobody was seen", "False"),
            Reason("ChangedByOther", "one change by somebody else was followed", "False"),
            Reason("Conflict", "another autoscaler does, or somebody changes it again and again", "True"),
        ),
    ),
    Table(
        "BacklogOnly",
        "A role names backlog signals only, and shrinks one gang step a window.",
        (Reason("NoBusySignal", "add a busy signal, such as PromptTokenRate", "True"),),
    ),
)

REASONS = (
    Table(
        "Nothing is decided",
        "The reason of Ready=False while an RbgAutoscaler takes part in nothing.",
        (
            Reason("InvalidSpec", "the message names each field and the mend"),
            Reason("Paused", "mode is Paused"),
            Reason("RoleNotFound", "the group has no role of that name; the other roles are decided"),
            Reason("TargetClaimed", "an older RbgAutoscaler scales one of its roles"),
            Reason("TargetNotFound", "there is no such group"),
            Reason("TargetTerminating", "the group is being deleted"),
        ),
    ),
    Table(
        "The role is not written",
        "The reason of AbleToScale=False.",
        (
            Reason("AdapterNotBound", "the role's scaling adapter is not there or not Bound yet"),
            Reason("Conflict", "somebody else writes the role: let one scale it"),
            Reason("DependencyNotMet", "the role waits for another, and a write would resize nothing"),
            Reason("ForeignAdapter", "the adapter of that name belongs to or scales something else"),
            Reason("ScaleNotCarriedOut", "a write was accepted, but the workload did not follow"),
            Reason("SetOwned", "the group belongs to a RoleBasedGroupSet: scale the set"),
            Reason("WriteNotObserved", "the last write is not seen yet"),
        ),
    ),
    Table(
        "A later stage changed the number",
        "The reason of a role whose number was changed after HPA's stages.",
        (
            Reason("GangStep", "rounded to a multiple of gangStep"),
            Reason("GangStepRateLimited", "the rate limit is smaller than a gang step: one step a period"),
            Reason("GangStepUnsatisfiable", "no multiple of gangStep lies within the bounds"),
            Reason("RatioCoordinated", "moved to keep a ratio"),
            Reason("RatioHeld", "waits for a role that is held, to keep a ratio"),
            Reason("RatioUnsatisfiable", "no counts within the bounds keep the ratio"),
            Reason("BackingOff", "replicas that found no node were taken back a moment ago"),
            Reason("FrozenByPolicy", "a CoordinatedPolicy freezes the role while another grows"),
            Reason("MetricsMissing", "nothing lowers a role while its metrics are missing"),
            Reason("PendingOrdinals", "a shrink would remove serving replicas and spare pending ones"),
            Reason("RolloutInProgress", "no shrink while a rollout is in progress"),
            Reason("RolloutRuleViolated", "the group's admission would refuse the count"),
            Reason("ShrinkFirst", "another role under the same CoordinatedPolicy shrinks first"),
            Reason("ThrottledByPolicy", "a CoordinatedPolicy still lets the last raise through"),
            Reason("Unschedulable", "some replicas have no node: no raise"),
            Reason("UnschedulableWithdrawn", "replicas without a node past the deadline were taken back"),
        ),
    ),
    Table(
        "A metric has no value",
        "The `state` of the metric, and the reason of MetricsAvailable=False.",
        (
            Reason("Duplicated", "a pod's series are there more than once"),
            Reason("Negative", "a negative value is exported"),
            Reason("NoInstances", "no instance is ready yet"),
            Reason("NoSeries", "there is no such series in this namespace"),
            Reason("NotAllowed", "the metrics source takes no PromQL of users"),
            Reason("NotFinite", "NaN or infinity is exported"),
            Reason("NotRead", "the role is out of its bounds or paused, so metrics were not read"),
            Reason("Overloaded", "the metrics source refused for load"),
            Reason("Partial", "the metrics source said that its answer is not whole"),
            Reason("Rejected", "the query was refused: the message says why"),
            Reason("Stale", "the newest sample is too old"),
            Reason("TimedOut", "the metrics source did not answer in time"),
            Reason("UnknownSource", "the administrator has not defined that metricsSource"),
            Reason("Unreachable", "the metrics source cannot be reached"),
            Reason("Unsupported", "the engine exports nothing for this signal"),
        ),
    ),
)
