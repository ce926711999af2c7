"""How many replicas a CoordinatedPolicy lets each role of a rule have now.

A role may be at most `maxSkew` of its way ahead of the slowest growing role of its rule, and while a growing
role has replicas that are not yet through the gate (scheduled, or ready), every role of the rule stays where
it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from localplane.rbg.names import Obj


class PolicyError(Exception):
    """The policy cannot be carried out as written; nothing of the group may be touched."""


@dataclass(frozen=True)
class RoleProgress:
    """One role as its workload was last seen; scheduled pods are held against replicas, as recorded."""

    desired: int
    current: int
    ready: int
    scheduled_pods: int

    @property
    def growing(self) -> bool:
        return self.current < self.desired

    def waiting(self, progression: str | None) -> bool:
        """Whether the batch under way still has to pass the rule's gate; no progression means no gate."""
        if progression == "OrderReady":
            return self.ready < self.current
        if progression == "OrderScheduled":
            return self.scheduled_pods < self.current
        return False


@dataclass(frozen=True)
class Rule:
    """One scaling rule: the roles it binds, how far they may drift (0..1) and the gate between batches."""

    roles: tuple[str, ...]
    max_skew: Fraction
    progression: str | None


def rules_of(policy: Obj | None) -> list[Rule]:
    """The scaling rules of a policy; those without a scaling strategy do not count.

    Raises:
        PolicyError: `maxSkew` is no percentage between 0% and 100%.
    """
    entries = ((policy or {}).get("spec") or {}).get("policies") or []
    rules = []
    for entry in entries:
        scaling = (entry.get("strategy") or {}).get("scaling")
        if scaling is not None:
            skew = _percentage(scaling.get("maxSkew", "100%"))
            rules.append(Rule(tuple(entry["roles"]), skew, scaling.get("progression")))
    return rules


def _percentage(value: object) -> Fraction:
    text = str(value)
    if not text.endswith("%"):
        raise PolicyError(f"failed to parse maxSkew: percentage string must end with '%': {text}")
    try:
        skew = Fraction(int(text[:-1]), 100)
    except ValueError as error:
        raise PolicyError(f"failed to parse maxSkew: {text} is no percentage") from error
    if not 0 <= skew <= 1:
        raise PolicyError(f"failed to parse maxSkew: {text} is not between 0% and 100%")
    return skew


def throttle(rules: Iterable[Rule], roles: Mapping[str, RoleProgress]) -> dict[str, int]:
    """The replicas every role may have now; a role in several rules gets the least of them."""
    offers: dict[str, list[int]] = {name: [] for name in roles}
    for rule in rules:
        for name, target in _batch(rule, {n: roles[n] for n in rule.roles if n in roles}).items():
            offers[name].append(target)
    return {name: min(offers[name], default=role.desired) for name, role in roles.items()}


def _batch(rule: Rule, roles: Mapping[str, RoleProgress]) -> dict[str, int]:
    """P 2->6 and D 2->4 at 25 %: the slower is at 1/3: P may have ceil(7/12 * 6), D ceil(7/12 * 4)."""
    growing = {name: role for name, role in roles.items() if role.growing}
    if any(role.waiting(rule.progression) for role in growing.values()):
        # A shrinking role is frozen too: D 3->1 waits for P's batch.
        return {name: role.current for name, role in roles.items()}
    if not growing:
        return {name: role.desired for name, role in roles.items()}
    allowed = min(Fraction(role.current, role.desired) for role in growing.values()) + rule.max_skew
    targets = {}
    for name, role in roles.items():
        if not role.growing:
            targets[name] = role.desired
            continue
        step = max(math.ceil(allowed * role.desired), role.current + 1)
        targets[name] = min(step, role.desired)
    return targets
