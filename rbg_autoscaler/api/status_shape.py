"""The status of an RbgAutoscaler on the wire: what a person reads, and the memory that the next leader needs.

A field that is not declared here is dropped by the API server, and a text longer than its bound refused.
"""

from __future__ import annotations

from rbg_autoscaler.api.shape import Choice, Field, Flag, Integer, Listing, Number, Record, Text
from rbg_autoscaler.api.spec_shape import DNS_LABEL, MAX_METRICS, MAX_ROLES

MESSAGE_LENGTH = 1024
MAX_EVENTS = 512
"""Scale events kept per direction: a change each 5 s through the longest period, 1800 s, makes 360."""

_COUNT = Integer(0, 2**31 - 1)
_GENERATION = Integer(0, 2**53 - 1)  # a bound in JSON is a double, and 2**63 - 1 would become 2**63
_MESSAGE = Text(MESSAGE_LENGTH, minimum=0)
_REASON = Text(
    256, r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", like="letters, digits, _ , and :, a letter first"
)
_TIME = Text(64, format="date-time")
_SECONDS = Number()

CONDITION = Record(
    (
        Field(
            "type",
            Text(128, r"^[A-Z][A-Za-z0-9]*$", like="letters and digits"),
            "Which condition.",
            required=True,
        ),
        Field("status", Choice(("True", "False", "Unknown")), "Whether it holds.", required=True),
        Field("reason", _REASON, "Why, in one word for programs.", required=True),
        Field("message", _MESSAGE, "Why, in a sentence for people.", required=True),
        Field("lastTransitionTime", _TIME, "When `status` changed last.", required=True),
        Field("observedGeneration", _GENERATION, "The generation of the spec that it speaks of."),
    ),
    "A metav1.Condition.",
)
CONDITIONS = Listing(CONDITION, 16, keys=("type",))

METRIC_STATUS = Record(
    (
        Field("name", Text(253), "The signal's or the metric's name.", required=True),
        Field("value", Text(64), "The value that was held against the target; absent while it is missing."),
        Field("target", Text(64), "The level to hold."),
        Field("proposed", _COUNT, "The replicas that this metric asks for."),
        Field("state", Text(64), "Valid, or why the value is missing."),
        Field("message", _MESSAGE, "The same in a sentence."),
    ),
    "What one metric said, in the order of the role's metrics.",
)

SCALE_EVENT = Record(
    (
        Field("at", _SECONDS, "When, in seconds since the epoch.", required=True),
        Field("change", _COUNT, "By how many replicas.", required=True),
    ),
    "A rescale that was written.",
)

MEMORY = Record(
    (
        Field("recommendedMax", _COUNT, "The most asked for within the scale-down window."),
        Field("recommendedMin", _COUNT, "The least asked for within the scale-up window."),
        Field("scaleUps", Listing(SCALE_EVENT, MAX_EVENTS), "Rescales that rate limits still count."),
        Field("scaleDowns", Listing(SCALE_EVENT, MAX_EVENTS), "Rescales that rate limits still count."),
        Field("scaledToZero", Flag(), "The controller itself scaled the role to 0."),
        Field("desired", _COUNT, "The last count that was computed; kept through an outage."),
        Field("written", _COUNT, "The count that was written last; another one is another writer's."),
        Field("writtenAt", _SECONDS, "When it was written."),
        Field("replaced", _COUNT, "The count that `written` replaced."),
        Field("overriddenAt", Listing(_SECONDS, 256), "When somebody else changed a count written here."),
        Field("startUpSeconds", _SECONDS, "Learnt: how long a replica takes from creation to Ready."),
        Field("withdrawnAt", _SECONDS, "When replicas that could not be scheduled were last taken back."),
        Field("backoffSeconds", _SECONDS, "How long raises wait after that."),
    ),
    "What the controller remembers of the role; not for people, and not to be edited.",
)

ROLE_STATUS = Record(
    (
        Field("name", DNS_LABEL, "The role.", required=True),
        Field("current", _COUNT, "The replicas asked for now, by whomever."),
        Field("ready", _COUNT, "The replicas that serve."),
        Field("proposed", _COUNT, "What the metrics ask for; absent while they give no number."),
        Field(
            "wanted", _COUNT, "What the role should have: within windows, limits, bounds, step and ratios."
        ),
        Field("granted", _COUNT, "What is written in mode Auto and recommended in mode Recommend."),
        Field("limiter", Text(64), "The stage that held the number back; absent where none did."),
        Field("reason", Text(256, minimum=0), "Why `granted` is what it is, in one word."),
        Field("message", _MESSAGE, "The same in a sentence."),
        Field("conditions", CONDITIONS, "HPA's conditions, for this role."),
        Field("metrics", Listing(METRIC_STATUS, MAX_METRICS), "What each metric said."),
        Field("memory", MEMORY, "What the controller remembers."),
    ),
    "The latest decision about one role.",
)

STATUS = Record(
    (
        Field("observedGeneration", _GENERATION, "The generation of the spec that was decided last."),
        Field("summary", Text(2048, minimum=0), "The roles in short: prefill 3->5, decode 8."),
        Field(
            "limited",
            Text(8192, minimum=0),
            "The roles that are held back, and why: prefill: TooManyReplicas.",
        ),
        Field("lastScaleTime", _TIME, "When a replica count was last written."),
        Field("targetUid", Text(64), "The uid of the group that the memory belongs to."),
        Field("conditions", CONDITIONS, "The state of the whole."),
        Field("roles", Listing(ROLE_STATUS, MAX_ROLES, keys=("name",)), "The latest decision, by role."),
    ),
    "What was observed and decided; written by the controller alone.",
)
