"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def facts() -> dict[str, str]:
    """Processor, memory, kernel, Python, and how busy the machine is."""
    load = os.getloadavg()
    return {
        "processor": f"{os.cpu_count()} x {_first('model name', '/proc/cpuinfo')}",
        "memory": f"{_kib('MemTotal') / 2**20:.1f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "load": f"{load[0]:.1f} (1 min), {load[1]:.1f} (5 min)",
    }


def _first(name: str, file: str) -> str:
    found = re.search(rf"^{name}\s*:\s*(.+)$", Path(file).read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _kib(name: str) -> float:
    return float(_first(name, "/proc/meminfo").split()[0])
