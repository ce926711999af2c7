"""Frozen dataclasses to JSON and back without loss, by their type hints alone.

Dataclasses become objects with their class name as `$type`, tuples and named tuples lists, mappings with keys
other than strings lists of pairs. Decoding the encoding gives an equal value.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

TYPE = "$type"


class DecodeError(ValueError):
    """The JSON does not fit the type: where, and why."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path or 'the file'}: {message}")


def encode(value: Any) -> Any:
    """JSON of a value made of dataclasses, enums, tuples, mappings and plain values."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        named = {TYPE: type(value).__name__}
        return named | {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {str(key): encode(item) for key, item in value.items()}
        return [[encode(key), encode(item)] for key, item in value.items()]
    return value


def decode(hint: Any, data: Any, path: str = "") -> Any:
    """The value of type `hint` that `data` encodes. Raises DecodeError naming the path."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, data, path)
    if origin is tuple:
        return _tuple(arguments, data, path)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(arguments[0], arguments[1], data, path)
    if is_dataclass(hint):
        return _dataclass(hint, data, path)
    if isinstance(hint, type) and issubclass(hint, tuple):
        hints = _hints(hint)
        return hint(*_tuple(tuple(hints.values()), data, path))
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError:
            raise DecodeError(path, f"{data!r} is none of {', '.join(map(str, hint))}") from None
    return _plain(hint, data, path)


def _plain(hint: Any, data: Any, path: str) -> Any:
    if type(data) is not hint and not (hint is float and type(data) is int):
        raise DecodeError(path, f"{data!r} is no {getattr(hint, '__name__', hint)}")
    return data


def _union(members: tuple[Any, ...], data: Any, path: str) -> Any:
    if data is None and type(None) in members:
        return None
    if isinstance(data, dict) and TYPE in data:
        for member in members:
            if getattr(member, "__name__", "") == data[TYPE]:
                return decode(member, data, path)
        raise DecodeError(path, f"{data[TYPE]!r} is no type this version knows here")
    rest = [member for member in members if member is not type(None)]
    if len(rest) == 1:
        return decode(rest[0], data, path)
    raise DecodeError(path, f"{data!r} does not say its type")


def _tuple(arguments: tuple[Any, ...], data: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise DecodeError(path, f"{data!r} is no list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(data)
    if len(arguments) != len(data):
        raise DecodeError(path, f"{len(data)} items instead of {len(arguments)}")
    pairs = enumerate(zip(arguments, data, strict=True))
    return tuple(decode(argument, item, f"{path}[{index}]") for index, (argument, item) in pairs)


def _mapping(key_hint: Any, value_hint: Any, data: Any, path: str) -> dict[Any, Any]:
    if isinstance(data, dict):
        pairs = list(data.items())
    elif isinstance(data, list) and all(isinstance(item, list) and len(item) == 2 for item in data):
        pairs = [(key, value) for key, value in data]
    else:
        raise DecodeError(path, f"{data!r} is no mapping")
    decoded = ((decode(key_hint, key, path), value) for key, value in pairs)
    return {key: decode(value_hint, value, f"{path}.{key}") for key, value in decoded}


def _dataclass(hint: Any, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        raise DecodeError(path, f"{data!r} is no {hint.__name__}")
    hints = _hints(hint)
    unknown = data.keys() - hints.keys() - {TYPE}
    if unknown:
        raise DecodeError(path, f"unknown field {min(unknown)!r}: it was written by another version")
    missing = [f.name for f in fields(hint) if f.name not in data and _is_required(f)]
    if missing:
        raise DecodeError(path, f"field {missing[0]!r} is missing")
    given = {
        name: decode(hints[name], data[name], f"{path}.{name}".lstrip(".")) for name in hints if name in data
    }
    return hint(**given)


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)
