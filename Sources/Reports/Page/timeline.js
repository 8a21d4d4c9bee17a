// The time line of one step: under each rank's trainer its buckets, on lanes.
const rowHeight = 22, laneHeight = 15, gap = 12, labelWidth = 76, axisHeight = 22;
const view = { step: null, zoom: null, isOpen: false };

/** A bucket as the page's data has it; times in nanoseconds from the step's beginning. */
function bucketOf(fields) {
  const [index, first, last, count, isUrgent, phase, lane, ready, started, firstArrival, lastArrival, ended, waitedFrom, waitedTo] = fields;
  return { index, first, last, count, isUrgent, phase, lane, ready, started, firstArrival, lastArrival, ended, waitedFrom, waitedTo, exposed: fields.slice(14, -1), wire: fields.at(-1) };
}

const seconds = nanoseconds => duration(nanoseconds / 1e9);
const phases = ["all-reduce", "reduce", "gather"];

function kindOf(bucket) {
  return phases[bucket.phase] + (bucket.isUrgent ? ", urgent" : "") + (bucket.wire > 0 ? `, ${data.wireFormats[bucket.wire]}` : "");
}

function bucketText(bucket) {
  const lines = [
    `bucket ${bucket.index}: ${bytes(bucket.count)}, ${kindOf(bucket)}`, parametersOf(bucket),
    `ready at ${seconds(bucket.ready)}`, `waited for its turn: ${seconds(bucket.started - bucket.ready)}`,
    `for the first message: ${seconds(bucket.firstArrival - bucket.started)}`,
    `messages: ${seconds(bucket.lastArrival - bucket.firstArrival)}`, `own work after the last: ${seconds(bucket.ended - bucket.lastArrival)}`,
  ];
  const waited = bucket.waitedTo - bucket.waitedFrom;
  if (waited > 0) lines.push(`the trainer waited ${seconds(waited)}`, spoken(causes(bucket.exposed)));
  return lines.join("\n");
}

function parametersOf(bucket) {
  if (bucket.first > bucket.last) return "no parameters";
  const name = index => data.parameters[index] ?? `parameter ${index}`;
  return bucket.first === bucket.last ? name(bucket.first) : `${name(bucket.first)} \u2026 ${name(bucket.last)}`;
}

function drawTimeline() {
  const place = byId("timeline");
  const width = Math.max(480, place.clientWidth);
  const ranks = view.step.ranks.map(rank => ({ ...rank, buckets: rank.buckets.map(bucketOf) }));
  const ends = ranks.flatMap(rank => [rank.end, ...rank.buckets.flatMap(bucket => [bucket.ended, bucket.waitedTo])]);
  const starts = ranks.flatMap(rank => [rank.start, ...rank.buckets.map(bucket => bucket.ready)]);
  const [from, to] = view.zoom ?? [Math.min(...starts), Math.max(...ends, 1)];
  const x = time => labelWidth + (time - from) / (to - from) * (width - labelWidth - 8);

  const svg = shape("svg", { role: "img", "aria-label": `time line of step ${view.step.step}` });
  const clip = shape("clipPath", { id: "inside" });
  const body = shape("g", { "clip-path": "url(#inside)" });
  svg.append(clip, body);
  let y = axisHeight;
  for (const rank of ranks) {
    const isOpen = view.isOpen || ranks.length <= 2 || rank.rank === shownRank();
    const label = shape("text", { x: 0, y: y + 15, class: "strong" }, `rank ${rank.rank}`);
    svg.append(label);
    drawTrainer(body, rank, x, y);
    y += rowHeight + 3;
    if (isOpen) {
      for (const bucket of rank.buckets) drawBucket(body, bucket, x, y + bucket.lane * laneHeight, rank.isFolded);
      y += Math.max(0, ...rank.buckets.map(bucket => bucket.lane + 1)) * laneHeight;
    }
    y += gap;
  }
  const height = y;
  byId("folded").hidden = !ranks.some(rank => rank.isFolded);
  for (const tick of ticks(from / 1e9, to / 1e9, Math.max(3, width / 130))) {
    const at = x(tick * 1e9);
    svg.prepend(shape("line", { x1: at, x2: at, y1: axisHeight - 4, y2: height - gap, class: "grid" }));
    svg.append(shape("text", { x: at, y: 12, "text-anchor": at > width - 40 ? "end" : "middle" }, duration(tick)));
  }
  clip.append(shape("rect", { x: labelWidth - 2, y: 0, width: width - labelWidth + 2, height }));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  enlargeByDragging(svg, { width, height, time: at => from + (at - labelWidth) / (width - labelWidth - 8) * (to - from) });
  place.replaceChildren(svg);
  byId("whole").hidden = view.zoom === null;
}

/** What the trainer did: computed, or waited, by cause. Inside a wait the causes stand in the legend's order, as long as each was. */
function drawTrainer(body, rank, x, y) {
  const rect = (start, end, colour, kind, text) => {
    const width = x(end) - x(start);
    if (!(width > 0)) return;
    const made = shape("rect", { x: x(start), y, width, height: rowHeight, fill: `var(--${colour})`, class: kind });
    explain(made, `rank ${rank.rank}: ${text}`);
    body.append(made);
  };
  rect(rank.start, rank.end, "compute", "compute", `the step took ${seconds(rank.end - rank.start)}, computing ${duration(rank.compute)}`);
  for (const bucket of rank.buckets) {
    const waited = bucket.waitedTo - bucket.waitedFrom;
    if (!(waited > 0)) continue;
    let from = bucket.waitedFrom;
    const whole = sum(bucket.exposed);
    for (const part of causes(bucket.exposed)) {
      const length = waited * share(part.seconds, whole);
      const text = `waited ${seconds(waited)} for bucket ${bucket.index}, of that\n${part.name}: ${duration(part.seconds)}`;
      rect(from, from + length, part.colour, "wait", text);
      from += length;
    }
  }
}

function drawBucket(body, bucket, x, y, isFolded) {
  const group = shape("g", { class: "bucket", "data-bucket": bucket.index });
  const colour = bucket.isUrgent ? "urgent" : bucket.phase === 2 ? "gather" : "bulk";
  const part = (start, end, opacity) => {
    if (!(end > start)) return;
    group.append(shape("rect", {
      x: x(start), y, width: Math.max(0.5, x(end) - x(start)), height: laneHeight - 3, fill: `var(--${colour})`, opacity }));
  };
  if (bucket.started > bucket.ready && !isFolded) {
    group.append(shape("rect", { x: x(bucket.ready), y: y + 5, width: x(bucket.started) - x(bucket.ready), height: 2, fill: `var(--${colour})` }));
  }
  part(bucket.started, bucket.firstArrival, 0.35);
  part(bucket.firstArrival, bucket.lastArrival, 0.7);
  part(bucket.lastArrival, bucket.ended, 1);
  // A bar that is shorter than a pixel is still there.
  group.append(shape("rect", { x: x(bucket.started), y, width: 1.5, height: laneHeight - 3, fill: `var(--${colour})` }));
  const room = x(bucket.ended) - x(bucket.started);
  if (room > 18) group.append(shape("text", { x: x(bucket.started) + 4, y: y + 9.5, class: "on" }, bucket.index));
  explain(group, bucketText(bucket));
  body.append(group);
}

function enlargeByDragging(svg, scale) {
  const at = event => (event.clientX - svg.getBoundingClientRect().left) * scale.width / svg.getBoundingClientRect().width;
  let from = null, mark = null;
  svg.addEventListener("pointerdown", event => {
    if (at(event) < labelWidth) return;
    from = at(event);
    mark = shape("rect", { x: from, y: 0, width: 0, height: scale.height, class: "select" });
    svg.append(mark);
    svg.setPointerCapture(event.pointerId);
  });
  svg.addEventListener("pointermove", event => {
    if (from === null) return;
    mark.setAttribute("x", Math.min(from, at(event)));
    mark.setAttribute("width", Math.abs(at(event) - from));
  });
  svg.addEventListener("pointerup", event => {
    if (from === null) return;
    const ends = [scale.time(from), scale.time(Math.max(labelWidth, at(event)))].sort((a, b) => a - b);
    const isDrag = Math.abs(at(event) - from) > 4;
    from = null;
    mark.remove();
    if (isDrag) { view.zoom = ends; drawTimeline(); }
  });
  svg.addEventListener("dblclick", () => { view.zoom = null; drawTimeline(); });
}
