"""What a field means, in the words of the docstring below it in its dataclass: said once, shown everywhere.

Read from the source when something is generated; parsing needs none of it.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from functools import cache

from rbg_autoscaler.api.shape import Field, camel


def meaning(field: Field) -> str:
    """The field's doc on one line, without the markup of source code."""
    text = field.doc or (attribute_docs(field.origin[0]).get(field.origin[1], "") if field.origin else "")
    return plain(text)


def plain(text: str) -> str:
    """A docstring on one line; fields in back quotes get their name on the wire."""
    on_wire = re.sub(r"`[a-z_]+`", lambda match: camel(match[0]), text)
    return " ".join(on_wire.split())


@cache
def attribute_docs(cls: type) -> dict[str, str]:
    """The string literal that follows each annotated attribute of the class, by attribute."""
    tree = ast.parse(inspect.cleandoc(inspect.getsource(cls)))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef))
    docs = {}
    for statement, following in itertools.pairwise(body):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                docs[name] = text
    return docs
