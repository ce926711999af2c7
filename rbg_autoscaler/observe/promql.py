"""PromQL text from parts: the only place where a value from outside becomes part of a query.

Label values and names are free text (`meta/llama"x`), so everything is quoted here and nowhere is PromQL
made by string formatting of values; parsing a built selector yields exactly the matchers it was built from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rbg_autoscaler.api.types import LabelRequirement

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# Keywords cannot stand before braces, in any case of letters: all single words, and these.
_KEYWORDS = frozenset({"count_values", "fill_left", "fill_right", "group_left", "group_right", "limit_ratio"})
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RE2_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_ESCAPES = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


class Unquotable(ValueError):
    """A text that cannot stand in a query; the message says what and why."""


@dataclass(frozen=True)
class Matcher:
    """One label matcher; `op` is =, !=, =~ or !~. An empty value means that the label is absent."""

    label: str
    op: str
    value: str

    def __str__(self) -> str:
        if not _LABEL.fullmatch(self.label):
            raise Unquotable(
                f"{self.label!r} is no Prometheus label name: write it with letters, digits, underscores, as "
                "Prometheus has it (app.kubernetes.io/name is often app_kubernetes_io_name)"
            )
        return f"{self.label}{self.op}{quote(self.value)}"


def quote(text: str) -> str:
    """A PromQL string literal.

    Raises:
        Unquotable: the text is no valid Unicode (a lone surrogate).
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unquotable(f"{text!r} is not valid Unicode text") from None
    return '"' + "".join(_ESCAPES.get(char) or _control(char) for char in text) + '"'


def _control(char: str) -> str:
    return f"\\x{ord(char):02x}" if char < " " or char == "\x7f" else char


def re2_quote(text: str) -> str:
    """A regular expression that matches this text and no other."""
    return _RE2_SPECIAL.sub(r"\\\1", text)


def any_of(label: str, values: Sequence[str], *, negated: bool = False) -> Matcher:
    """The label has one of the values (or, negated, none of them)."""
    if len(values) == 1:
        return Matcher(label, "!=" if negated else "=", values[0])
    return Matcher(label, "!~" if negated else "=~", "|".join(re2_quote(value) for value in values))


def requirement(selector: LabelRequirement) -> Matcher:
    """A Kubernetes label selector's entry as a matcher; NotIn also takes series without the label."""
    match selector.operator:
        case "In":
            return any_of(selector.key, selector.values)
        case "NotIn":
            return any_of(selector.key, selector.values, negated=True)
        case "Exists":
            return Matcher(selector.key, "!=", "")
        case "DoesNotExist":
            return Matcher(selector.key, "=", "")
        case other:
            raise Unquotable(f"{other!r} is no operator: use In, NotIn, Exists or DoesNotExist")


def selector(names: Sequence[str], matchers: Iterable[Matcher]) -> str:
    """All series under these names that fulfil the matchers."""
    inside = list(matchers)
    if len(names) == 1 and _can_stand_bare(names[0]):
        return f"{names[0]}{{{','.join(map(str, inside))}}}"
    return f"{{{','.join(map(str, [any_of('__name__', names), *inside]))}}}"


def _can_stand_bare(name: str) -> bool:
    """Whether a metric's name may stand before the braces instead of in them."""
    words = ":" in name or "_" in name
    return words and bool(_NAME.fullmatch(name)) and name.lower() not in _KEYWORDS


def by(operator: str, labels: Iterable[str], vector: str) -> str:
    """An aggregation that keeps the given labels."""
    return f"{operator} by ({', '.join(labels)}) ({vector})"


def tagged(vector: str, label: str, value: str) -> str:
    """The vector with one more label, so that several answers fit into one."""
    return f"label_replace({vector}, {quote(label)}, {quote(value)}, {quote('')}, {quote('')})"


def first_of(vectors: Sequence[str]) -> str:
    """For each label set the first vector that has it."""
    return vectors[0] if len(vectors) == 1 else "(" + " or ".join(vectors) + ")"
