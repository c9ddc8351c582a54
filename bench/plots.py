"""The figures beside their bars, as a picture."""

from collections.abc import Mapping
from html import escape
from typing import Any

from bench.figures import BARS, shown, shown_bar

_ROW, _LEFT, _WIDTH = 22, 330, 420
_MET, _MISSED, _BAR = "#2e7d32", "#b26a00", "#37474f"


def picture(found: Mapping[str, Any]) -> str:
    """Each figure as a part of its bar, which is the line; what is over twice the bar is cut.

    ``found``: what ``bench/latest.json`` has.
    """
    rows = [
        (key, engine, one)
        for key in BARS
        for engine, one in found.get(key, {}).items()
        if one["bar"]
    ]
    height = _ROW * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (key, engine, one) in enumerate(rows, 1):
        parts += _row(key, engine, one, number * _ROW)
    middle = _LEFT + _WIDTH / 2
    parts.append(
        f'<line x1="{middle}" x2="{middle}" y1="8" y2="{height - 8}" stroke="{_BAR}" '
        'stroke-dasharray="4 3"/>'
    )
    parts.append(f'<text x="{middle + 6}" y="14" fill="{_BAR}">the bar</text></svg>')
    return "\n".join(parts) + "\n"


def _row(key: str, engine: str, one: Mapping[str, Any], top: float) -> list[str]:
    value, wanted = one["median"], one["bar"]
    colour = _MET if one["met"] else _MISSED
    width = min(value / wanted, 2.0) * _WIDTH / 2
    return [
        f'<text x="{_LEFT - 8}" y="{top + 13}" text-anchor="end">'
        f"{escape(key)} ({escape(engine)})</text>",
        f'<rect x="{_LEFT}" y="{top + 2}" width="{width:.1f}" height="{_ROW - 8}" '
        f'fill="{colour}"/>',
        f'<text x="{_LEFT + width + 6:.1f}" y="{top + 13}">{shown(value)} '
        f"({BARS[key].sign} {shown_bar(wanted)})</text>",
    ]
