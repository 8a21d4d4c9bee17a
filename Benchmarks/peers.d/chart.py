"""A line chart with logarithmic axes as SVG: bus bandwidth over size."""

import html
import math

from table import size_name

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 64, 170, 40, 48
COLORS = ("#b2182b", "#2166ac", "#67a9cf", "#1b7837", "#7fbf7b", "#762a83", "#e08214", "#8c6d31", "#555555", "#999999")
LEGEND_STEP = 20


def decades(least, most):
    """Powers of ten around the values."""
    return [10.0 ** power for power in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)]


def chart(title, series, unit="GB/s"):
    """SVG text. `series` is [(name, [(bytes, value), ...])]; the first is drawn thickest, names starting with = dashed."""
    points = [(size, value) for _, line in series for size, value in line if value and value > 0]
    if not points:
        return ""
    sizes = sorted({size for size, _ in points})
    ticks = decades(min(value for _, value in points), max(value for _, value in points))
    if len(ticks) == 1:
        ticks.append(ticks[0] * 10)
    low, span = math.log10(ticks[0]), math.log10(ticks[-1] / ticks[0])
    first, width = math.log2(sizes[0]), max(1, math.log2(sizes[-1] / sizes[0]))

    def x(size):
        return LEFT + (math.log2(size) - first) / width * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - (math.log10(value) - low) / span * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{html.escape(title)}</text>',
    ]
    for tick in ticks:
        parts.append(f'<line x1="{LEFT}" y1="{y(tick):.1f}" x2="{WIDTH - RIGHT}" y2="{y(tick):.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for size in sizes:
        parts.append(f'<line x1="{x(size):.1f}" y1="{TOP}" x2="{x(size):.1f}" y2="{HEIGHT - BOTTOM}" stroke="#f0f0f0"/>')
        parts.append(f'<text x="{x(size):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{size_name(size)}</text>')
    parts.append(f'<text x="14" y="{HEIGHT / 2}" transform="rotate(-90 14 {HEIGHT / 2})" text-anchor="middle">{unit}</text>')
    for index, (name, line) in enumerate(series):
        color = COLORS[index % len(COLORS)]
        style = f'stroke="{color}" stroke-width="{3 if index == 0 else 1.5}"' + (' stroke-dasharray="5 4"' if name[0] == "=" else "")
        drawn = [(x(size), y(value)) for size, value in line if value and value > 0]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in drawn)
        parts.append(f'<polyline points="{path}" fill="none" {style}/>')
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="2.5" fill="{color}"/>' for across, down in drawn]
        height = TOP + 8 + index * LEGEND_STEP
        parts.append(f'<line x1="{WIDTH - RIGHT + 14}" y1="{height}" x2="{WIDTH - RIGHT + 40}" y2="{height}" {style}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 46}" y="{height + 4}">{html.escape(name.lstrip("="))}</text>')
    return "\n".join(parts) + "\n</svg>\n"
