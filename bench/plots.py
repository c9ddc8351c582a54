"""The figures beside their bars, as a picture."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.figures import BARS, Figure

_ROW, _LEFT, _WIDTH = 22, 330, 420
_MET, _MISSED, _BAR = "#2e7d32", "#b26a00", "#37474f"


def draw(figures: Sequence[Figure], path: Path) -> None:
    """Each figure as a part of its bar, which is the line; what is over twice the bar is cut."""
    shown = [one for one in figures if one.key in BARS and BARS[one.key].value(one.engine)]
    height = _ROW * (len(shown) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, one in enumerate(shown, 1):
        parts += _row(one, number * _ROW)
    middle = _LEFT + _WIDTH / 2
    parts.append(
        f'<line x1="{middle}" x2="{middle}" y1="8" y2="{height - 8}" stroke="{_BAR}" '
        'stroke-dasharray="4 3"/>'
    )
    parts.append(f'<text x="{middle + 6}" y="14" fill="{_BAR}">the bar</text></svg>')
    path.write_text("\n".join(parts) + "\n")


def _row(one: Figure, top: float) -> list[str]:
    bar = BARS[one.key]
    wanted = bar.value(one.engine)
    ratio = one.value / wanted
    colour = _MET if bar.is_met(one.engine, one.value) else _MISSED
    width = min(ratio, 2.0) * _WIDTH / 2
    sign = "≥" if bar.at_least else "≤"
    return [
        f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end">'
        f"{escape(one.key)} ({escape(one.engine)})</text>",
        f'<rect x="{_LEFT}" y="{top + 2}" width="{width:.1f}" height="{_ROW - 8}" '
        f'fill="{colour}"/>',
        f'<text x="{_LEFT + width + 6:.1f}" y="{top + 13}">{one.value:.3g} '
        f"({sign} {wanted:g})</text>",
    ]
