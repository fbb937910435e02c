"""What a measurement was made on: a number without it means nothing."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import psutil


def machine() -> dict[str, object]:
    """Processor, cores, memory, load just now, and the versions that matter."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_1m": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def said(of: dict[str, object]) -> str:
    """In one line, with a warning when others are using the machine."""
    busy = "; others were using it, so the numbers are rough" if float(str(of["load_1m"])) > 1.5 else ""
    return (
        f"{of['processor']}, {of['cores']} cores, {of['memory_gb']} GB, Python {of['python']}, NumPy {of['numpy']}, "
        f"load {of['load_1m']}{busy}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
