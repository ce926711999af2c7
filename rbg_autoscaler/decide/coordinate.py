"""Stage 7: the replicas of two roles keep a ratio. The lagging role is raised before the other is lowered.

Every bound on a ratio says that one role has at least so many for so many of another. Such rules have one
least solution above what the roles want, found by raising until nothing lags, whatever the rules' order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rbg_autoscaler.api.types import Coordination
from rbg_autoscaler.decide.decision import Stage
from rbg_autoscaler.decide.progress import Progress

REASON = "RatioCoordinated"
UNSATISFIABLE = "RatioUnsatisfiable"


class AtLeast(NamedTuple):
    """`follower * weight >= leader * share`: decode >= 1.5 x prefill is (decode, 1000, prefill, 1500)."""

    follower: str
    weight: int
    leader: str
    share: int

    def least(self, leader: int) -> int:
        """The fewest followers for so many leaders."""
        return -(-leader * self.share // self.weight)

    def most(self, follower: int) -> int:
        """The most leaders that so many followers allow."""
        return follower * self.weight // self.share

    def keeps(self, replicas: Mapping[str, int]) -> bool:
        """Whether these counts satisfy the rule."""
        return replicas[self.follower] * self.weight >= replicas[self.leader] * self.share


class Counts:
    """The replica counts that a role may take: multiples of the gang step in low..high, and a few others."""

    __slots__ = ("high", "low", "others", "step")

    def __init__(self, low: int, high: int, step: int, *others: int) -> None:
        self.low = -(-low // step) * step
        self.high = high // step * step
        self.step = step
        self.others = others

    def at_most(self, limit: int) -> int | None:
        """The largest count that is no larger than `limit`."""
        multiple = min(limit // self.step * self.step, self.high)
        best = multiple if multiple >= self.low else None
        for other in self.others:
            if other <= limit and (best is None or other > best):
                best = other
        return best

    def at_least(self, limit: int) -> int | None:
        """The smallest count that is no smaller than `limit`."""
        multiple = max(-(-limit // self.step) * self.step, self.low)
        best = multiple if multiple <= self.high else None
        for other in self.others:
            if other >= limit and (best is None or other < best):
                best = other
        return best


def rules_of(coordination: Iterable[Coordination]) -> tuple[AtLeast, ...]:
    """Both bounds of every entry as rules of one kind. A bound of 0 asks for nothing."""
    rules = []
    for entry in coordination:
        if entry.min_ratio_milli:
            rules.append(AtLeast(entry.numerator, 1000, entry.denominator, entry.min_ratio_milli))
        if entry.max_ratio_milli:
            rules.append(AtLeast(entry.denominator, entry.max_ratio_milli, entry.numerator, 1000))
    return tuple(rules)


def solve(
    wanted: Mapping[str, int], counts: Mapping[str, Counts], rules: tuple[AtLeast, ...]
) -> dict[str, int] | None:
    """The least counts that keep every rule and are at least what is wanted, as far as the maxima allow.

    First the most that each role may have so that all rules can be kept (from the maxima down), then from
    what is wanted, cut to that, up until no role lags. None: no counts keep the rules.
    """
    most: dict[str, int] = {}
    for role, choice in counts.items():
        highest = choice.at_most(max((choice.high, *choice.others)))
        if highest is None:
            return None
        most[role] = highest
    moving = True
    while moving:
        moving = False
        for rule in rules:
            limit = rule.most(most[rule.follower])
            if most[rule.leader] > limit:
                lower = counts[rule.leader].at_most(limit)
                if lower is None:
                    return None
                most[rule.leader] = lower
                moving = True
    solution = {role: min(wanted[role], most[role]) for role in counts}
    moving = True
    while moving:
        moving = False
        for rule in rules:
            least = rule.least(solution[rule.leader])
            if solution[rule.follower] < least:
                higher = counts[rule.follower].at_least(least)
                assert higher is not None, "the most that each role may have keeps every rule"  # noqa: S101
                solution[rule.follower] = higher
                moving = True
    return solution


def families(rules: tuple[AtLeast, ...]) -> list[tuple[frozenset[str], tuple[AtLeast, ...]]]:
    """The rules by groups of roles that they tie together, so that one impossible ratio stops no other."""
    tied: list[frozenset[str]] = []
    for rule in rules:
        pair = frozenset((rule.follower, rule.leader))
        joined = pair.union(*(other for other in tied if other & pair))
        tied = [other for other in tied if not other & pair] + [joined]
    return [(roles, tuple(rule for rule in rules if rule.leader in roles)) for roles in tied]


def coordinate(roles: Mapping[str, Progress], rules: tuple[AtLeast, ...]) -> tuple[AtLeast, ...]:
    """Pass the roles of one autoscaler through the stage; returns the rules that can be kept.

    `rules` name only roles that are in `roles`. Where rules can not be kept together, their roles pass
    unchanged with a reason.
    """
    numbers = {name: role.replicas for name, role in roles.items()}
    if all(rule.keeps(numbers) for rule in rules):
        return rules
    kept: list[AtLeast] = []
    for names, family in families(rules):
        members = {name: roles[name] for name in names}
        wanted = {name: numbers[name] for name in names}
        solution = solve(wanted, {name: _allowed(member) for name, member in members.items()}, family)
        if solution is not None:
            kept.extend(family)
        for name, member in sorted(members.items()):
            if solution is None:
                message = f"{worded(family)} can not be kept within minReplicas, maxReplicas and gangStep"
                member.pass_on(Stage.COORDINATE, member.replicas, UNSATISFIABLE, message)
            elif solution[name] != member.replicas:
                verb = "raised" if solution[name] > member.replicas else "lowered"
                message = f"{verb} from {member.replicas} to {solution[name]} to keep {worded(family)}"
                member.pass_on(Stage.COORDINATE, solution[name], REASON, message)
    return tuple(kept)


def _allowed(member: Progress) -> Counts:
    """Multiples within bounds, what the role asks for, and staying where it is."""
    spec = member.spec
    others = {member.replicas}
    if spec.min_replicas <= member.current <= spec.max_replicas:
        others.add(member.current)
    return Counts(spec.min_replicas, spec.max_replicas, spec.gang_step, *others)


def worded(rules: tuple[AtLeast, ...]) -> str:
    """The rules as a person would write them, in the order of the resource."""
    return " and ".join(
        f"{rule.follower} >= {rule.share / rule.weight:.4g} x {rule.leader}" for rule in rules
    )
