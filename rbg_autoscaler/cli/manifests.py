"""RbgAutoscalers from files instead of the cluster, held to the whole of the CRD.

Read as the API server would read them, so that what passes here is admitted there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rbg_autoscaler.api.parse import InvalidSpec, parse_autoscaler
from rbg_autoscaler.api.types import KIND, ObjectKey
from rbg_autoscaler.cli.problems import BadInput

Object = dict[str, Any]


class Manifests(NamedTuple):
    """The RbgAutoscalers that were found, each with its namespace, and what was passed over."""

    objects: tuple[Object, ...]
    notes: tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """Times stay text, as they do on the way to an API server."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_manifests(files: Sequence[str], namespace: str, *, enforce: bool) -> Manifests:
    """All RbgAutoscalers of the files.

    Args:
        files: Paths; "-" is standard input.
        namespace: Of manifests that name none.
        enforce: Whether a manifest may name no other.

    Raises:
        BadInput: naming the file, the object, the field and the mend.
    """
    found: dict[ObjectKey, Object] = {}
    notes: list[str] = []
    for file in files:
        for obj in _documents(file):
            if obj.get("kind") != KIND:
                notes.append(f"{file}: passed over {obj.get('kind') or 'an object without kind'}")
                continue
            key = _key(file, obj, namespace, enforce=enforce)
            if key in found:
                raise BadInput(f"{file}: RbgAutoscaler {key} is given twice")
            _check(file, key, obj)
            # A manifest says the spec; the status, and what it remembers, is the cluster's.
            found[key] = {"metadata": {"namespace": key.namespace, "name": key.name}, "spec": obj["spec"]}
    if not found:
        raise BadInput(f"{', '.join(files)}: no {KIND} is in there")
    return Manifests(tuple(found.values()), tuple(notes))


def _documents(file: str) -> Iterator[Object]:
    """The file's objects; those of a List one by one."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        documents = list(yaml.load_all(text, _Loader))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise BadInput(f"{file}: is no YAML: {' '.join(str(error).split())}") from None
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise BadInput(f"{file}: holds {type(document).__name__} where an object should be")
        listed = document.get("items") if str(document.get("kind", "")).endswith("List") else None
        yield from [item for item in listed if isinstance(item, dict)] if listed else [document]


def _key(file: str, obj: Object, namespace: str, *, enforce: bool) -> ObjectKey:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not name:
        raise BadInput(f"{file}: metadata.name: is required")
    own = metadata.get("namespace") or namespace
    if enforce and own != namespace:
        raise BadInput(
            f"{file}: RbgAutoscaler {name} is in namespace {own}, which is not the {namespace} of -n"
        )
    return ObjectKey(str(own), str(name))


def _check(file: str, key: ObjectKey, obj: Object) -> None:
    try:
        parse_autoscaler(obj)
    except InvalidSpec as error:
        lines = [f"{file}: RbgAutoscaler {key}: {each}" for each in error.errors]
        raise BadInput("\n".join(lines)) from None
