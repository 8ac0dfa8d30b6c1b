"""Makes the registry's tools importable: they belong to the repository, not to a wheel."""

from __future__ import annotations

import sys
from pathlib import Path

SEMCONV = Path(__file__).resolve().parents[2] / "semconv"
if str(SEMCONV) not in sys.path:
    sys.path.insert(0, str(SEMCONV))
