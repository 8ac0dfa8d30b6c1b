"""Charts as SVG: pure functions from numbers to markup, the same bytes for the same input.

The one decision: every position is a percentage and every distance near text is in em, with no
viewBox. A chart therefore fills whatever box it is given, from a phone to a wall, while its text
keeps the size of the page's text and stays sharp. Colours are class names (`s0` … `s6`), so that
a style sheet themes them and no style attribute is needed under a strict content security policy.

Each chart is one image to assistive technology, with a title and a description; the figures
themselves stand beside it as a table, which is the caller's part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

LOW_LABEL_MAX = 15.0
"""Furthest start, in percent, of a whisker's low label: the rest is for the high one."""


@dataclass(frozen=True)
class Bar:
    """One column of a stacked chart.

    `values` in the order of the series, bottom first; `label` stands under the axis if not empty,
    and a `minor` one gives way where there is little room; `tip` tells the whole column, one line
    each.
    """

    values: tuple[float, ...]
    label: str
    tip: str
    minor: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Tick:
    """A line across the chart at `value`, with its label."""

    value: float
    label: str


def ticks(maximum: float, count: int = 4) -> list[float]:
    """Round values from 0 up to at least `maximum`, about `count` steps of 1, 2, 2.5 or 5 × 10ⁿ."""
    if maximum <= 0:
        return [0.0, 1.0]
    raw = maximum / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    steps = math.ceil(maximum / step - 1e-9)
    return [float(f"{step * i:.6g}") for i in range(steps + 1)]


def stacked_bars(
    bars: Sequence[Bar],
    y_axis: Sequence[Tick],
    colours: Sequence[int],
    *,
    id: str,
    title: str,
    desc: str,
) -> Markup:
    """Columns of stacked series over a shared axis, which must reach above every column.

    `colours` numbers the colour of each series, in the order of the bars' values.
    """
    top = y_axis[-1].value
    slot = 100 / len(bars)
    width = slot * (0.74 if len(bars) > 7 else 0.56)
    parts: list[Markup] = [_grid_line(tick, top) for tick in y_axis]
    for index, bar in enumerate(bars):
        left = slot * index
        parts.append(
            _tag(
                "g",
                *_column(bar, colours, left + (slot - width) / 2, width, top),
                *_x_label(bar, left + slot / 2),
                _hit(left, slot, bar.tip),
                class_="bar partial" if bar.partial else "bar",
            )
        )
    return _image("chart-bars", parts, id=id, title=title, desc=desc)


def sparkline(
    values: Sequence[float],
    tips: Sequence[str],
    *,
    provisional: int,
    id: str,
    title: str,
    desc: str,
) -> Markup:
    """A row of small columns, oldest first; those from index `provisional` on are marked so."""
    top = max(*values, 1)
    slot = 100 / len(values)
    parts: list[Markup] = []
    for index, (value, tip) in enumerate(zip(values, tips, strict=True)):
        height = max(100 * value / top, 1.5)
        column = _rect(slot * index + slot * 0.12, 100 - height, slot * 0.76, height)
        state = "minute provisional" if index >= provisional else "minute"
        parts.append(_tag("g", column, _hit(slot * index, slot, tip), class_=state))
    return _image("chart-spark", parts, id=id, title=title, desc=desc)


def share_bar(
    shares: Sequence[float], tips: Sequence[str], *, id: str, title: str, desc: str
) -> Markup:
    """One bar divided by shares (0 … 1, together at most 1), in the order of the series."""
    parts: list[Markup] = []
    left = 0.0
    for index, (share, tip) in enumerate(zip(shares, tips, strict=True)):
        rect = _rect(left, 0, 100 * share, 100, class_=f"seg s{index}")
        parts.append(_tag("g", rect, _hit(left, 100 * share, tip)))
        left += 100 * share
    return _image("chart-share", parts, id=id, title=title, desc=desc)


def whisker(
    low: float,
    mid: float,
    high: float,
    labels: tuple[str, str],
    *,
    before: float | None,
    id: str,
    title: str,
    desc: str,
) -> Markup:
    """A mid value on its band, on a line from zero; `before` is a second, smaller mark."""
    top = max(high, before or 0.0) or 1.0

    def at(value: float) -> float:
        return 100 * value / top

    parts = [
        _line(0, 50, 100, 50, class_="track"),
        _tag(
            "rect",
            class_="band",
            x=_percent(at(low)),
            width=_percent(at(high) - at(low)),
            y="32%",
            height="36%",
            rx="0.3em",
        ),
    ]
    if before is not None:
        parts.append(_line(at(before), 12, at(before), 88, class_="before"))
    parts.append(_tag("circle", class_="mid", cx=_percent(at(mid)), cy="50%", r="0.44em"))
    parts.append(_label("low ", labels[0], min(at(low), LOW_LABEL_MAX), "start"))
    parts.append(_label("high ", labels[1], 100, "end"))
    return _image("chart-whisker", parts, id=id, title=title, desc=desc)


def meter(share: float) -> Markup:
    """A bar of length `share` (0 … 1) in a row of a ranking; the number stands beside it."""
    rect = _rect(0, 0, 100 * min(max(share, 0.0), 1.0), 100, class_="seg")
    return _tag("svg", rect, class_="chart-meter", aria_hidden="true", focusable="false")


def _column(
    bar: Bar, colours: Sequence[int], left: float, width: float, top: float
) -> Iterator[Markup]:
    base = 100.0
    for colour, value in zip(colours, bar.values, strict=True):
        height = 100 * value / top
        if height > 0:
            base -= height
            yield _rect(left, base, width, height, class_=f"seg s{colour}")


def _x_label(bar: Bar, centre: float) -> Iterator[Markup]:
    if bar.label:
        kind = "x-label minor" if bar.minor else "x-label"
        yield _tag("text", bar.label, class_=kind, x=_percent(centre), y="100%", dy="1.6em")


def _grid_line(tick: Tick, top: float) -> Markup:
    y = 100 - 100 * tick.value / top
    kind = "grid" if tick.value else "grid base"
    label = _tag("text", tick.label, class_="y-label", x="-0.6em", y=_percent(y), dy="0.34em")
    return _tag("g", _line(0, y, 100, y, class_=kind), label)


def _label(word: str, figure: str, x: float, anchor: str) -> Markup:
    """A figure under its end of the band; the word before it gives way where there is no room."""
    children = (_tag("tspan", word, class_="word"), figure)
    place = {"x": _percent(x), "y": "100%", "dy": "1em", "text_anchor": anchor}
    return _tag("text", *children, class_="w-label", **place)


def _hit(left: float, width: float, tip: str) -> Markup:
    """An invisible area over a whole column: easier to point at than the column itself."""
    place = {"x": _percent(left), "y": "0", "width": _percent(width), "height": "100%"}
    return _tag("rect", _tag("title", tip), class_="hit", **place)


def _rect(x: float, y: float, width: float, height: float, *, class_: str = "") -> Markup:
    return _tag(
        "rect",
        class_=class_,
        x=_percent(x),
        y=_percent(y),
        width=_percent(width),
        height=_percent(height),
    )


def _line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> Markup:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return _tag("line", class_=class_, **{name: _percent(value) for name, value in ends.items()})


def _image(kind: str, parts: Iterable[Markup], *, id: str, title: str, desc: str) -> Markup:
    names = (_tag("title", title, id=f"{id}-title"), _tag("desc", desc, id=f"{id}-desc"))
    return _tag(
        "svg",
        *names,
        *parts,
        class_=f"chart {kind}",
        id=id,
        role="img",
        aria_labelledby=f"{id}-title {id}-desc",
    )


def _percent(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"


def _tag(name: str, *children: str, **attributes: str) -> Markup:
    """An element; text is escaped, Markup is not. `class_` is class, `aria_x` is aria-x."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value
    )
    return Markup(f"<{name}{written}>{''.join(escape(child) for child in children)}</{name}>")
