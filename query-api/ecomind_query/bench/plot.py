"""The plot of the documentation: what grows with the store, as a line drawing without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ecomind_query.ui.charts import ticks

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 260, 60, 40, 80
_PANELS = (
    ("cpu_us_per_span", "CPU per span received, µs"),
    ("page_ms_p95", "page and API, p95, ms"),
)


def plot(growth: Mapping[Any, Mapping[str, Any]]) -> str:
    """An SVG: one panel a figure, sizes of the store on a logarithmic axis."""
    sizes = [int(size) for size in growth]
    width = (WIDTH - LEFT - GAP) / len(_PANELS)
    body = "".join(
        _panel(LEFT + n * (width + GAP), width - 20, label, sizes, [r[field] for r in
               growth.values()])
        for n, (field, label) in enumerate(_PANELS)
    )  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' font-family="sans-serif" font-size="12" fill="#555">'
        f"<title>Cost per span and time of a page as the store grows</title>{body}</svg>\n"
    )


def _panel(left: float, width: float, label: str, sizes: list[int], values: list[float]) -> str:
    steps = ticks(max(values))
    bottom = HEIGHT - 40
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    span = high - low or 1.0

    def x(size: int) -> float:
        return round(left + (math.log10(size) - low) / span * width, 1)

    def y(value: float) -> float:
        return round(bottom - value / steps[-1] * (bottom - TOP), 1)

    lines = "".join(
        f'<path d="M{left} {y(step)}h{width}" stroke="#ddd"/>'
        f'<text x="{left - 6}" y="{y(step) + 4}" text-anchor="end">{step:g}</text>'
        for step in steps
    )
    names = "".join(
        f'<text x="{x(size)}" y="{bottom + 18}" text-anchor="middle">{size / 1e6:g} M</text>'
        for size in sizes
    )
    points = list(zip(map(x, sizes), map(y, values), strict=True))
    path = "M" + "L".join(f"{px} {py}" for px, py in points)
    dots = "".join(f'<circle cx="{px}" cy="{py}" r="3.5" fill="#0a7a5c"/>' for px, py in points)
    return (
        f'<text x="{left}" y="{TOP - 18}" font-weight="bold">{label}</text>{lines}{names}'
        f'<path d="{path}" fill="none" stroke="#0a7a5c" stroke-width="2"/>{dots}'
    )
