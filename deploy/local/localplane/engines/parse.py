"""JSON in, typed values out: a flat object is read field by field against its dataclass.

An unknown field, a wrong type or a number out of bounds is an error that names the field's path and the mend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, fields, replace
from typing import Any, TypeVar

from localplane.engines.catalogue import version_key
from localplane.engines.faults import MODES, Fault
from localplane.engines.load import Load, RoleSpec, kind_of
from localplane.engines.tables import ENGINES

T = TypeVar("T")


class BadFieldError(ValueError):
    """A request that cannot be carried out: `path` names the field, the message what to write instead."""

    def __init__(self, path: str, mend: str) -> None:
        super().__init__(f"{path}: {mend}")
        self.path = path


def parse_load(data: object) -> Load:
    """A load from JSON.

    Raises:
        BadFieldError: an unknown field, a wrong type, a value out of bounds, or an engine that does not
        exist.
    """
    members = _object(data, "load")
    load = _flat(Load(), {k: v for k, v in members.items() if k not in {"schedule", "roles"}}, "", _SHAPED)
    _chosen(load.engine, tuple(ENGINES), "engine")
    if load.backend:
        _chosen(load.backend, tuple(ENGINES), "backend")
    if load.version:
        try:
            version_key(load.version)
        except ValueError as error:
            raise BadFieldError("version", str(error)) from error
    roles = _object(members.get("roles", {}), "roles")
    return replace(
        load,
        schedule=_schedule(members.get("schedule", [])),
        roles={name: _role(name, value) for name, value in roles.items()},
    )


def parse_faults(data: object) -> tuple[Fault, ...]:
    """The faults of a group: one fault as an object, or {"faults": [...]}.

    Raises:
        BadFieldError: as for a load.
    """
    members = _object(data, "fault")
    if "faults" not in members:
        return (_fault(members, ""),)
    for name in members:
        if name != "faults":
            raise BadFieldError(name, 'unknown field beside "faults"')
    listed = members["faults"]
    if not isinstance(listed, list):
        raise BadFieldError("faults", "expected a list of faults")
    return tuple(_fault(_object(one, f"faults[{i}]"), f"faults[{i}].") for i, one in enumerate(listed))


_SHAPED = ("schedule", "roles")


def _role(name: str, data: object) -> RoleSpec:
    path = f"roles.{name}."
    members = dict(_object(data, f"roles.{name}"))
    kind = members.setdefault("kind", kind_of(name))
    if "tokens_per_s" in members:
        # The tokens of its kind: what a decode replica does in a second is generate.
        rate = "generation_tokens_per_s" if kind == "decode" else "prompt_tokens_per_s"
        if rate in members:
            raise BadFieldError(path + "tokens_per_s", f"means {rate} here; give one of the two")
        members[rate] = members.pop("tokens_per_s")
    return _flat(RoleSpec(), members, path)


def _fault(members: Mapping[str, object], path: str) -> Fault:
    if "kind" not in members:
        raise BadFieldError(path + "kind", f"missing; choose one of {', '.join(MODES)}")
    fault = _flat(Fault(), members, path)
    if fault.mode:
        _chosen(fault.mode, MODES[fault.kind], path + "mode")
    try:
        fault.to.format(name="")
    except (KeyError, IndexError, ValueError) as error:
        raise BadFieldError(path + "to", "use {name} for the old name and no other braces") from error
    return fault


def _schedule(data: object) -> tuple[tuple[float, float], ...]:
    if not isinstance(data, list):
        raise BadFieldError("schedule", "expected a list of [seconds, requests per second]")
    points: list[tuple[float, float]] = []
    for i, point in enumerate(data):
        if not isinstance(point, list) or len(point) != 2:
            raise BadFieldError(f"schedule[{i}]", "expected [seconds, requests per second]")
        seconds, rate = (_number(value, f"schedule[{i}][{k}]", 0.0, 1e9) for k, value in enumerate(point))
        if points and seconds <= points[-1][0]:
            raise BadFieldError(f"schedule[{i}][0]", "the times must rise from point to point")
        points.append((seconds, rate))
    return tuple(points)


def _flat(default: T, members: Mapping[str, object], path: str, reserved: tuple[str, ...] = ()) -> T:
    """`default` with the given members in place of its fields; `reserved` fields are read elsewhere."""
    known = {f.name: f for f in fields(default)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for name, value in members.items():
        if name not in known or name in reserved:
            raise BadFieldError(path + name, f"unknown field; known are {', '.join(known)}")
        changes[name] = _field(known[name], getattr(default, name), value, path + name)
    return replace(default, **changes)  # type: ignore[type-var]


def _field(spec: Field[Any], default: object, value: object, path: str) -> object:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise BadFieldError(path, "expected true or false")
        return value
    if isinstance(default, str):
        if not isinstance(value, str):
            raise BadFieldError(path, "expected a text")
        if "choices" in spec.metadata:
            _chosen(value, spec.metadata["choices"], path)
        return value
    number = _number(value, path, spec.metadata["low"], spec.metadata["high"])
    if isinstance(default, float):
        return number
    if number != int(number):
        raise BadFieldError(path, "expected a whole number")
    return int(number)


def _number(value: object, path: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise BadFieldError(path, "expected a number")
    if not low <= value <= high:
        raise BadFieldError(path, f"{value} is outside {low:g} to {high:g}")
    return float(value)


def _chosen(value: str, choices: tuple[str, ...], path: str) -> None:
    if value not in choices:
        raise BadFieldError(path, f"{value!r} is none of: {', '.join(choices) or '(this kind has none)'}")


def _object(data: object, path: str) -> Mapping[str, object]:
    if not isinstance(data, dict):
        raise BadFieldError(path, "expected a JSON object")
    return data
