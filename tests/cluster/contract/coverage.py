"""What of the recordings is not held against the controller under test, and why; all the rest is."""

from __future__ import annotations

from typing import Any

NOT_COVERED = {
    "w4": "goes through v1alpha1, which needs the conversion webhook; only v1alpha2 is served here",
    "w5": "what a v1alpha1 patch loses; v1alpha1 is not served here",
}

SKIPPED_STEPS: dict[str, dict[int, str]] = {
    "s01": dict.fromkeys(
        range(1, 8), "answers seen while polling every 2 ms; s05b has the same ones, held still"
    ),
    "s05": {
        **dict.fromkeys(
            (0, 2, 3, 4, 5, 6, 7, 8), "a second binding by a controller that was frozen in the middle"
        ),
    },
    "s05b": {
        20: "which of two writers had the last word 8 ms ago",
        24: "60 s later adapter y was still unbound: a back-off by chance; x was bound",
        25: "as step 24",
    },
    "s16": dict.fromkeys((5, 6), "how many of ten selectors were broken by a race"),
    "w3": {9: "a line in the real controller's log"},
}
"""Steps by their place in the recording."""

CORRECTIONS: dict[str, dict[int, dict[str, Any]]] = {
    "s02": {4: {"spec": {"replicas": 3}}},
    "s12": {15: {"metadata": {"name": "absent"}}},
}
"""Bodies by step, where two requests were kept as one object, the second one's.

s02's first PUT sent 3, s12's first apply to an absent group sent no uid.
"""

UNCOMPARED_NOTES = {
    "second restart": "whether recreated pods run again 2 s later; that they are made anew is compared",
}
"""Lists of pods by the beginning of their note."""

SAMPLED = {
    "s16b": "the timeline of one group of 30 was kept",
    "s16c": "the timeline of one group of 20 was kept",
}
"""The outcomes of all groups are compared instead."""

FULL_PACE = {"s14": "back-off counts from the last restart", "s14b": "as s14"}
"""Pauses are not shortened."""

VARIES: dict[str, dict[tuple[str, str], str]] = {
    "s05": {("rbgsa/early-p", "*"): "the second binding that is skipped"},
    "s05b": {
        ("rbgsa/y-p", "*"): "each retry of the binding overwrites spec.replicas; how many fit in is chance",
    },
    "s06a": {("ris/g-prefill", "spec.replicas"): "the 1-0-1 dip at creation was seen in 3 of 12 creations"},
    "s06f": {
        ("ris/g-prefill", "spec.replicas"): "dips at creation were seen in 3 of 12 creations",
        ("ris/g-decode", "spec.replicas"): "2-1-2: as above",
    },
    "s06j": {("ris/g-prefill", "spec.replicas"): "the 4-0-4 dip at creation was seen in 3 of 12 creations"},
    "s07": {
        ("ris/set-0-prefill", "spec.replicas"): "which of two fighting controllers reads first is chance",
        ("ris/set-1-prefill", "spec.replicas"): "as above; it must flap as recorded",
        ("rbg/set-0", "replicas.prefill"): "as above",
        ("rbg/set-1", "replicas.prefill"): "as above",
    },
}
"""Tracks whose way, not whose end, depends on a race of the real controller; "*" is every field."""

FLAPS = {"s07": {("ris/set-1-prefill", "spec.replicas"), ("rbg/set-1", "replicas.prefill")}}
"""Of those, tracks that were recorded to go to and fro without end: they must, and their end says nothing."""

CUT = {"s07": {0: "creation of two groups", 14: "the fight goes on"}}
"""Phases, by their last step, whose recording stops while things still move: their ends are not compared."""

GENERATIONS_VARY = {"s07": "set and adapters write against each other", "s13": "writers race"}

UNCOMPARED_EVENTS = {
    "FailedReconcileWorkload": "of a set 'not found' just after its creation: lag of the real one's cache",
    "ScalingReplicaSet": "the deployment controller's, with the name of a ReplicaSet",
    "FailedScheduling": "the scheduler's, in another version's words",
    "FailedCreate": "of pods whose name is still taken: the stand-in waits instead",
    "FailedDelete": "of instances that are gone already: lag of the real controller's cache",
}

UNCOMPARED_FIELDS = {
    "generation, observedGeneration on the timeline": "their times, not the numbers; answers are compared",
    "managers": "manager names are compared where an answer's text has them (s12, w6)",
    "pods' conditions, labels, nodes": "s01's samples and s18 compare labels; nodes are chosen freely",
    "RoleInstance conditions and components": "compared in s01's and s10's samples",
    "ControllerRevisions of RoleInstances": "the stand-in makes them for groups and sets only",
    "selector": 'only complete ones: "" and ",...component-index=0" are races of the real one',
}
