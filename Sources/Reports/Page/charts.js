// Charts with axes.
const chart = { left: 58, right: 12, top: 8, bottom: 24 };

/** Axes of a chart: x from and to, y from `low` to at least `high`. Below x are whole numbers, or `marks`: places and what they are called. */
function axes(place, height, xs, low, high, write, marks = null) {
  const width = Math.max(300, place.clientWidth);
  const yTicks = ticks(low, high > low ? high : low + 1, 4);
  const top = Math.max(high, yTicks.at(-1)) || 1;
  const x = at => chart.left + (xs[1] > xs[0] ? (at - xs[0]) / (xs[1] - xs[0]) : 0.5) * (width - chart.left - chart.right);
  const y = value => height - chart.bottom - (value - low) / (top - low) * (height - chart.bottom - chart.top);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  for (const tick of yTicks) {
    svg.append(shape("line", { x1: chart.left, x2: width - chart.right, y1: y(tick), y2: y(tick), class: "grid" }));
    svg.append(shape("text", { x: chart.left - 8, y: y(tick) + 4, "text-anchor": "end" }, write(tick)));
  }
  const whole = ticks(xs[0], xs[1], Math.max(2, Math.min(12, width / 90))).filter(Number.isInteger);
  for (const [tick, name] of marks ?? (whole.length ? whole : [xs[0]]).map(tick => [tick, grouped(tick)])) {
    svg.append(shape("text", { x: x(tick), y: height - 6, "text-anchor": x(tick) > width - 30 ? "end" : "middle" }, name));
  }
  place.replaceChildren(svg);
  return { svg, x, y, width, height };
}

const percentTick = value => `${+(value * 100).toPrecision(3)} %`;

/** A line through points, which have places on a chart and a text each. */
function lineThrough(drawn, points) {
  const line = points.map(point => `${point.x.toFixed(1)} ${point.y.toFixed(1)}`).join("L");
  drawn.svg.append(shape("path", { d: `M${line}`, fill: "none", stroke: "var(--accent)", "stroke-width": 2, "stroke-linejoin": "round" }));
  for (const { x, y, text } of points) {
    const point = shape("circle", { cx: x, cy: y, r: points.length > 60 ? 1.5 : 3.5, fill: "var(--accent)", class: "point" });
    explain(point, text);
    drawn.svg.append(point);
  }
}
