"""A bar chart as SVG, by hand: one bar a contestant, with the span of its runs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.report.figures import Spread, count

WIDTH = 860
LABELS = 250
VALUES = 90
BAR = 22
STEP = 38
TOP = 56
FONT = "font-family='system-ui, sans-serif'"
OURS, THEIRS, INK, PAPER = "#1f6f8b", "#b8c4cc", "#24292f", "#ffffff"


@dataclass(frozen=True)
class Bar:
    """One bar. spread: None where it was not measured, and why says so."""

    label: str
    spread: Spread | None
    ours: bool = False
    why: str = ""


def draw(title: str, subtitle: str, bars: Sequence[Bar]) -> str:
    """The whole file. Lengths begin at zero, so that they can be compared."""
    height = TOP + STEP * len(bars) + 12
    highest = max((bar.spread.high for bar in bars if bar.spread), default=1.0)
    scale = (WIDTH - LABELS - VALUES) / highest
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' "
        f"height='{height}' role='img' {FONT} font-size='14' fill='{INK}'>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{WIDTH}' height='{height}' fill='{PAPER}'/>",
        f"<text x='12' y='24' font-size='16' font-weight='600'>{escape(title)}</text>",
        f"<text x='12' y='43' font-size='12' opacity='0.7'>{escape(subtitle)}</text>",
    ]
    for number, bar in enumerate(bars):
        parts += _bar(bar, TOP + STEP * number + 6, scale)
    return "\n".join([*parts, "</svg>", ""])


def _bar(bar: Bar, top: int, scale: float) -> list[str]:
    middle = top + BAR / 2
    text_y = middle + 5
    label = f"<text x='{LABELS - 10}' y='{text_y}' text-anchor='end'>{escape(bar.label)}</text>"
    if bar.spread is None:
        return [label, f"<text x='{LABELS}' y='{text_y}' opacity='0.7'>{escape(bar.why)}</text>"]
    low, high = (LABELS + value * scale for value in (bar.spread.low, bar.spread.high))
    length = bar.spread.median * scale
    colour = OURS if bar.ours else THEIRS
    return [
        label,
        f"<rect x='{LABELS}' y='{top}' width='{length:.1f}' height='{BAR}' rx='2' fill='{colour}'/>",
        f"<path d='M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8' "
        f"stroke='{INK}' fill='none'/>",
        f"<text x='{max(high, LABELS + length) + 8:.1f}' y='{text_y}'>{count(bar.spread.median)}</text>",
    ]
