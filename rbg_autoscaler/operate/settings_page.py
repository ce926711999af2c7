"""docs/configuration.md, made from the settings' own fields, defaults and docstrings: said once, shown here.

`python -m rbg_autoscaler.operate.settings_page FILE` writes it; a test holds the file against it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from rbg_autoscaler.api.docs import attribute_docs, plain
from rbg_autoscaler.api.shape import camel
from rbg_autoscaler.observe.sources import SourceSettings
from rbg_autoscaler.operate.settings import Settings

HEAD = """<!-- Made from rbg_autoscaler/operate/settings.py by `make generate`; change it there. -->
# The configuration file

`rbg-autoscaler run --config FILE` reads one YAML file. A key that is left out has its default; an unknown key
or a wrong type is refused by name. The smallest useful file:

```yaml
sources:
  default: {url: "http://prometheus.monitoring:9090"}
server: {host: 0.0.0.0}
```
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section("", Settings)) + "".join(_section("sources.KEY", SourceSettings))


def _section(path: str, cls: type) -> Iterator[str]:
    nested = [(one, one.default) for one in fields(cls) if is_dataclass(one.default)]
    said = attribute_docs(cls)
    yield f"\n## {path or 'Top level'}\n\n{plain(cls.__doc__ or '')}\n\n"
    yield "| key | default | meaning |\n|---|---|---|\n"
    for one in fields(cls):
        if not is_dataclass(one.default):
            yield f"| `{camel(one.name)}` | {_default(one)} | {plain(said.get(one.name, ''))} |\n"
    for one, value in nested:
        yield from _section(".".join(filter(None, (path, camel(one.name)))), type(value))


def _default(one: Field[Any]) -> str:
    value = one.default if one.default is not MISSING else None
    if value is None or value in ((), ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
