"""The laws of coordination: two different roles that exist, with a ratio that their bounds allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rbg_autoscaler.api.quantity import amount, milli
from rbg_autoscaler.api.rules import BROKEN, Rule, given, items, repeated


def _differ(entry: Any) -> Iterator[str]:
    if (ok := given(entry, "numerator", "denominator")) and ok["numerator"] == ok["denominator"]:
        yield ".denominator"


def _some_ratio(entry: Any) -> Iterator[str]:
    if "minRatio" not in entry and "maxRatio" not in entry:
        yield ".minRatio"


def _ratio_order(entry: Any) -> Iterator[str]:
    if (ok := given(entry, "minRatio", "maxRatio")) and amount(ok["minRatio"]) > amount(ok["maxRatio"]):
        yield ".minRatio"


RATIO = (
    Rule(
        "numerator and denominator are the same role: name two",
        "self.numerator != self.denominator",
        ".denominator",
        _differ,
    ),
    Rule(
        "neither minRatio nor maxRatio is given: set one or both",
        "has(self.minRatio) || has(self.maxRatio)",
        "",
        _some_ratio,
    ),
    Rule(
        "minRatio is above maxRatio: lower the one or raise the other",
        "!has(self.minRatio) || !has(self.maxRatio) || "
        "quantity(string(self.minRatio)).compareTo(quantity(string(self.maxRatio))) <= 0",
        ".minRatio",
        _ratio_order,
    ),
)


def _same_pair(entries: Any) -> Iterator[str]:
    def pair(entry: Mapping[str, Any]) -> Any:
        ok = given(entry, "numerator", "denominator")
        pair = {ok["numerator"], ok["denominator"]} if ok else set()
        return pair if len(pair) == 2 else None

    for index, _ in repeated(entries, pair):
        yield f"[{index}]"


COORDINATION = (
    Rule(
        "the pair of roles is there twice, in this order or the other: give both bounds in one entry",
        "self.all(c, c.numerator == c.denominator || self.exists_one(o, "
        "(o.numerator == c.numerator && o.denominator == c.denominator) || "
        "(o.numerator == c.denominator && o.denominator == c.numerator)))",
        "",
        _same_pair,
    ),
)


def _unknown_role(spec: Any) -> Iterator[str]:
    ok = given(spec, "roles", "coordination")
    if not ok or BROKEN in ok["roles"]:
        return
    names = [role.get("name", BROKEN) for _, role in items(ok["roles"])]
    for index, entry in items(ok["coordination"]):
        for end in ("numerator", "denominator"):
            if BROKEN not in names and entry.get(end, BROKEN) not in (BROKEN, *names):
                yield f".coordination[{index}].{end}"


def _impossible(spec: Any) -> Iterator[str]:
    if not (ok := given(spec, "roles", "coordination")):
        return
    counts = {}
    for _, role in items(ok["roles"]):
        if given(role, "name", "minReplicas", "maxReplicas", "gangStep"):
            counts[role["name"]] = _counts(role)
    for index, entry in items(ok["coordination"]):
        if not given(entry, "numerator", "denominator") or BROKEN in entry.values():
            continue
        numerator, denominator = counts.get(entry["numerator"]), counts.get(entry["denominator"])
        low = milli(entry.get("minRatio", 0))
        high = milli(entry["maxRatio"]) if "maxRatio" in entry else None
        judged = numerator and denominator and (high is None or low <= high)  # else another law speaks
        if numerator and denominator and judged and not _possible(numerator, denominator, low, high):
            yield f".coordination[{index}]"


def _counts(role: Mapping[str, Any]) -> range:
    """The replica counts a running role may have: multiples of its gang step within bounds, but 0."""
    step = role["gangStep"]
    return range(-(-max(role["minReplicas"], 1) // step) * step, role["maxReplicas"] + 1, step)


def _possible(numerator: range, denominator: range, low: int, high: int | None) -> bool:
    """Whether some pair of counts keeps low <= 1000 * numerator / denominator <= high.

    Each denominator is tried, for a ratio of exactly 3:2 with a step of 2 (counts 2, 4, 6 over 1, 2, 3)
    holds at 6 over 4 only: no look at the ends of the ranges tells that.
    """
    for below in denominator:
        least = max(-(-low * below // 1000), numerator.start)
        least = numerator.start + -(-(least - numerator.start) // numerator.step) * numerator.step
        if least < numerator.stop and (high is None or least * 1000 <= high * below):
            return True
    return False


SPEC = (
    Rule(
        "no role of that name: name one of spec.roles",
        "!has(self.coordination) || self.coordination.all(c, self.roles.exists(r, r.name == c.numerator) && "
        "self.roles.exists(r, r.name == c.denominator))",
        ".coordination",
        _unknown_role,
    ),
    Rule(
        "no replica counts within both roles' bounds and gang steps keep this ratio: "
        "widen minRatio..maxRatio or the bounds",
        None,
        "",
        _impossible,
    ),
)
