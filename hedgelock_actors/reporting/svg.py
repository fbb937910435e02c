"""A plot as inline SVG: scales, axes and marks. Colours are CSS classes (`s0`…`s5`), so that the page decides them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 22, 42
SERIES = 6
Point = tuple[float, float]


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values that cover low…high, about `count` of them."""
    if high <= low:
        high = low + 1.0
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= raw * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(step * n, 12) for n in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values low…high on pixels start…end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(slots=True)
class Plot:
    """A frame with two axes; marks are drawn in the order in which they are added."""

    x: Scale
    y: Scale
    label: str
    """What it shows, for those who do not see it."""
    parts: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, x: tuple[float, float], y_values: Sequence[float], label: str) -> tuple[Plot, list[float]]:
        """A plot whose y axis covers the values with round ticks, which it returns."""
        ticks = nice_ticks(min(y_values, default=0.0), max(y_values, default=1.0))
        low, high = x if x[1] > x[0] else (x[0], x[0] + 1.0)
        return cls(
            Scale(low, high, LEFT, WIDTH - RIGHT), Scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP), label
        ), ticks

    def y_axis(self, ticks: Sequence[float], unit: str) -> None:
        """Grid lines with numbers, and the unit."""
        for tick in ticks:
            at = self.y(tick)
            kind = "zero" if tick == 0 else "grid"
            self.parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
            self.parts.append(_text(LEFT - 8, at + 4, number(tick), "end"))
        self.parts.append(_text(14, (TOP + HEIGHT - BOTTOM) / 2, unit, "middle", "axis", turn=True))

    def x_axis(self, ticks: Sequence[tuple[float, str]], unit: str) -> None:
        """Numbers or names below, and the unit."""
        for value, name in ticks:
            self.parts.append(_text(self.x(value), HEIGHT - BOTTOM + 18, name, "middle"))
        self.parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, unit, "middle", "axis"))

    def line(self, points: Sequence[Point], series: int, *, dots: bool = False) -> None:
        """A line through points, with a dot at each if wanted."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline class="line {_series(series)}" points="{path}"/>')
        if dots:
            self.parts += [
                f'<circle class="dot {_series(series)}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.5"/>'
                for x, y in points
            ]

    def steps(self, points: Sequence[Point], series: int) -> None:
        """A line that stays at a value until the next point."""
        walked: list[Point] = []
        for x, y in points:
            if walked:
                walked.append((x, walked[-1][1]))
            walked.append((x, y))
        self.line(walked, series)

    def band(self, low: Sequence[Point], high: Sequence[Point], series: int) -> None:
        """The area between two lines."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in [*low, *reversed(high)])
        self.parts.append(f'<polygon class="band {_series(series)}" points="{path}"/>')

    def bar(self, x: tuple[float, float], y: tuple[float, float], series: int, tip: str, kind: str = "") -> None:
        """A rectangle between two x and two y, with a text that shows under the pointer."""
        left, right = sorted((self.x(x[0]), self.x(x[1])))
        top, bottom = sorted((self.y(y[0]), self.y(y[1])))
        size = f'width="{max(0.5, right - left):.1f}" height="{bottom - top:.1f}"'
        place = f'class="bar {_series(series)} {kind}" x="{left:.1f}" y="{top:.1f}"'
        self.parts.append(f"<rect {place} {size}><title>{escape(tip)}</title></rect>")

    def note(self, x: float, y: float, text: str) -> None:
        """A text just below a place of the plot, as the end of a bar."""
        self.parts.append(_text(self.x(x), self.y(y) + 16, text, "middle", "inbar"))

    def mark(self, x: float, text: str, series: int) -> None:
        """A dashed vertical line with a text."""
        at = self.x(x)
        self.parts.append(
            f'<line class="mark {_series(series)}" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
        self.parts.append(_text(at, TOP - 7, text, "middle", "note"))

    def svg(self) -> str:
        """The whole plot."""
        size = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
        return f'<svg {size} role="img" aria-label="{escape(self.label)}">{"".join(self.parts)}</svg>'


def number(value: float) -> str:
    """Short: no more digits than it needs."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _series(series: int) -> str:
    return f"s{series % SERIES}"


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick", *, turn: bool = False) -> str:
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}>{escape(text)}</text>'
