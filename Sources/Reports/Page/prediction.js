// Puts the page of a prediction together: data.document is what `verbena predict --json` prints.
const { prediction, cluster, profile, settings, whatIf, sensitivity } = data.document;
const predicted = prediction.rows;
// Curves have each number of ranks once, the smallest first.
const curve = [...new Map(predicted.map(row => [row.ranks, row])).values()].sort((a, b) => a.ranks - b.ranks);
const last = predicted.at(-1);

const exposedOf = row => data.causes.map(cause => row.exposed[cause.key]);
const ranksOf = row => `${grouped(row.ranks)} rank${row.ranks === 1 ? "" : "s"}`;
const planOf = row => `${grouped(row.buckets)} by ${row.schedule}${row.urgentBuckets > 0 ? `, ${grouped(row.urgentBuckets)} urgent` : ""}`;
/** With two digits behind the point, because tenths of a per cent count. */
const precise = part => `${part < 0 ? "\u2212" : ""}${Math.abs(part * 100).toFixed(2)} %`;
const long = seconds => seconds >= 5400 ? `${fixed(seconds / 3600)} h` : seconds >= 90 ? `${fixed(seconds / 60)} min` : duration(seconds);

function drawFigures() {
  const exposed = exposedOf(last);
  const largest = causes(exposed).reduce((most, part) => part.seconds > most.seconds ? part : most);
  const alone = predicted.find(row => row.ranks === 1);
  drawTiles([
    ["efficiency", precise(last.efficiency), `of ${ranksOf(last)}`],
    ["exposed", percent(share(sum(exposed), last.stepSeconds)), sum(exposed) > 0 ? `most of it: ${largest.name}` : "none"],
    ["time of a step", duration(last.stepSeconds), alone && alone !== last ? `${duration(alone.stepSeconds)} alone` : `computing ${duration(last.computeSeconds)}`],
    ["samples a second", grouped(last.samplesPerSecond), "of all ranks"],
    ...(last.epochSeconds === undefined ? [] : [["an epoch", long(last.epochSeconds), cluster.failingSteps > 0 ? "failing steps included" : `${grouped(profile.samplesPerEpoch)} samples`]]),
    ["buckets", grouped(last.buckets), `by ${last.schedule}${last.urgentBuckets > 0 ? `, ${grouped(last.urgentBuckets)} urgent` : ""}`]]);
}

/** Axes with ranks below them, by powers of two, and room beside the outermost. */
function rankAxes(place, low, high) {
  const places = curve.map(row => Math.log2(row.ranks));
  const room = Math.max(0.4, (places.at(-1) - places[0]) * 0.06);
  const ends = [places[0] - room, places.at(-1) + room];
  const each = (Math.max(300, place.clientWidth) - chart.left - chart.right) / (ends[1] - ends[0]);
  // From the right, so that the last one is named; of those that stand too close the smaller is not.
  const marks = [];
  curve.toReversed().forEach(row => {
    const [at, name] = [Math.log2(row.ranks), grouped(row.ranks)];
    if (marks.length === 0 || (marks.at(-1)[0] - at) * each > 7 * Math.max(name.length, marks.at(-1)[1].length)) marks.push([at, name]);
  });
  const drawn = axes(place, 230, ends, low, high, percentTick, marks);
  const gaps = places.slice(1).map((at, index) => (at - places[index]) * each);
  return { ...drawn, at: row => drawn.x(Math.log2(row.ranks)), column: Math.max(3, Math.min(34, 0.7 * Math.min(...gaps, 50))) };
}

function drawEfficiency() {
  const worst = Math.min(...curve.map(row => row.efficiency));
  const drawn = rankAxes(byId("efficiency"), Math.max(0, Math.floor(worst * 20 - 0.2) / 20), 1);
  lineThrough(drawn, curve.map(row => ({
    x: drawn.at(row), y: drawn.y(row.efficiency),
    text: `${ranksOf(row)}: ${precise(row.efficiency)}\n${duration(row.stepSeconds)} a step\n${grouped(row.samplesPerSecond)} samples a second` })));
}

function drawExposed() {
  const whole = row => share(sum(exposedOf(row)), row.stepSeconds);
  const drawn = rankAxes(byId("exposed"), 0, Math.max(0.01, ...curve.map(whole)));
  for (const row of curve) {
    const column = shape("g", { class: "column" });
    let below = 0;
    for (const part of causes(exposedOf(row))) {
      const above = below + share(part.seconds, row.stepSeconds);
      if (above > below) {
        column.append(shape("rect", {
          x: drawn.at(row) - drawn.column / 2, width: drawn.column, y: drawn.y(above), height: drawn.y(below) - drawn.y(above), fill: `var(--${part.colour})`,
          "data-cause": part.colour }));
      }
      below = above;
    }
    explain(column, `${ranksOf(row)}: exposed ${percent(whole(row))}\n` + causes(exposedOf(row)).filter(part => part.seconds > 0)
      .map(part => `${part.name}: ${percent(share(part.seconds, row.stepSeconds))}, ${duration(part.seconds)}`).join("\n"));
    drawn.svg.append(column);
  }
}

function drawRows() {
  const longest = Math.max(...predicted.map(row => row.stepSeconds));
  const seen = data.causes.filter(cause => predicted.some(row => row.exposed[cause.key] > 0));
  const waitsForInput = predicted.some(row => row.inputSeconds > 0);
  const hasEpochs = predicted.some(row => row.epochSeconds !== undefined);
  const hasImages = predicted.some(row => row.simulatedRanks < row.ranks);
  fill(byId("rows"), [
    ["ranks", ""], ["efficiency", ""], ["step", ""], ["computing", ""], ...(waitsForInput ? [["input", ""]] : []), ["exposed", ""],
    ...seen.map(cause => [cause.name, ""]), ["of its time", "left"], ["samples/s", ""], ...(hasEpochs ? [["epoch", ""]] : []), ["buckets", "left"],
    ...(hasImages ? [["simulated", ""]] : [])],
  predicted.map(row => {
    const part = seconds => percent(share(seconds, row.stepSeconds));
    return [
      grouped(row.ranks), precise(row.efficiency), duration(row.stepSeconds), part(row.computeSeconds), ...(waitsForInput ? [part(row.inputSeconds)] : []),
      part(sum(exposedOf(row))), ...seen.map(cause => part(row.exposed[cause.key])),
      bar([
        { name: "computing", colour: "compute", seconds: row.computeSeconds }, ...causes(exposedOf(row)),
        { name: "input", colour: "named", seconds: row.inputSeconds }], longest),
      grouped(row.samplesPerSecond), ...(hasEpochs ? [row.epochSeconds === undefined ? "" : long(row.epochSeconds)] : []), planOf(row),
      ...(hasImages ? [grouped(row.simulatedRanks)] : [])];
  }));
  byId("images").hidden = !hasImages;
}

/** A bar to the right of the middle for what saves, to the left for what costs; one that is longer than its half ends in a point. */
function savingBar(saved, whole) {
  const svg = shape("svg", { viewBox: "0 0 220 14", role: "img", "aria-label": precise(saved) });
  const length = Math.min(1, Math.abs(saved) / whole) * 108;
  const side = saved < 0 ? -1 : 1;
  const colour = saved < 0 ? "latePeer" : "reduction";
  const end = 110 + side * length;
  const isCut = Math.abs(saved) > whole;
  const neck = isCut ? end - side * 6 : end;
  svg.append(shape("path", { d: `M110 1H${neck}L${end} 7L${neck} 13H110Z`, fill: `var(--${colour})`, class: isCut ? "cut" : "part" }));
  svg.append(shape("line", { x1: 110, x2: 110, y1: 0, y2: 14, stroke: "var(--soft)" }));
  return svg;
}

function drawEffects() {
  byId("effect-section").hidden = !whatIf;
  if (!whatIf) return;
  byId("effect-title").textContent = `What if, at ${ranksOf(last)}`;
  const whole = Math.max(0.01, ...whatIf.map(effect => effect.saved ?? 0));
  fill(byId("effects"), [["change", "left words"], ["saved", ""], ["", "left"], ["efficiency", ""], ["samples/s", ""]], whatIf.map(effect =>
    effect.saved === undefined
      ? [`${effect.name}: ${effect.reason}`, "", "", "", ""]
      : [effect.name, precise(effect.saved), savingBar(effect.saved, whole), precise(effect.efficiency), grouped(effect.samplesPerSecond)]));
}

/** From the efficiency with half of a figure to that with twice of it. */
function spanBar(entry, low, high) {
  const at = value => 8 + (high > low ? (value - low) / (high - low) : 0.5) * 204;
  const svg = shape("svg", { viewBox: "0 0 220 14", role: "img", "aria-label": `from ${precise(entry.half)} to ${precise(entry.twice)}` });
  svg.append(shape("line", { x1: at(entry.half), x2: at(entry.twice), y1: 7, y2: 7, stroke: "var(--accent)", "stroke-width": 3 }));
  svg.append(shape("line", { x1: at(entry.base), x2: at(entry.base), y1: 0, y2: 14, stroke: "var(--soft)" }));
  svg.append(shape("circle", { cx: at(entry.twice), cy: 7, r: 4, fill: "var(--accent)" }));
  svg.append(shape("circle", { cx: at(entry.half), cy: 7, r: 4, fill: "var(--card)", stroke: "var(--accent)", "stroke-width": 2 }));
  return svg;
}

function drawSensitivities() {
  byId("sensitivity-section").hidden = !sensitivity;
  if (!sensitivity) return;
  byId("sensitivity-title").textContent = `How the efficiency hangs on what is assumed, at ${ranksOf(last)}`;
  const all = sensitivity.flatMap(entry => [entry.half, entry.base, entry.twice]);
  fill(byId("sensitivities"), [["figure", "left words"], ["half", ""], ["as it is", ""], ["twice", ""], ["", "left"]], sensitivity.map(entry =>
    [entry.name, precise(entry.half), precise(entry.base), precise(entry.twice), spanBar(entry, Math.min(...all), Math.max(...all))]));
}

const clusterWords = {
  name: "", nodes: "how many there are; 0: as many as are asked for", ranksPerNode: "", nicsPerNode: "local rank i uses NIC i mod NICs",
  nicGigabytesPerSecond: "of each direction of a cable", latencyMicroseconds: "of a message from NIC to NIC",
  latencyJitterMicroseconds: "added to each latency, uniformly from 0 on", memoryGigabytesPerSecond: "between ranks of a node",
  memoryLatencyMicroseconds: "between ranks of a node", reduceGigabytesPerSecond: "of one array that is added to another",
  messageMicroseconds: "the engine's own time for a message", nodesPerLeaf: "of a fat tree; 0: one switch that never blocks",
  oversubscription: "of a leaf's uplink", computeSpread: "by which part computing varies", slowNodes: "nodes that compute slower",
  slowFactor: "as long as others compute", failingSteps: "a share of steps, which are done again", recoverySeconds: "what a failing step costs beside itself",
  receiveBufferMegabytes: "of a rank" };
const profileWords = {
  name: "", source: "where the times come from", layers: "", parameters: "elements of all gradients", batch: "samples of a rank's step",
  samplesPerEpoch: "0: none", forwardSeconds: "of a rank's step", backwardSeconds: "of a rank's step", optimizerSeconds: "of a rank's step",
  inputSeconds: "waited for in each step", spread: "by which part computing varies, where the cluster says nothing" };
const settingsWords = {
  bucketBytes: "where gradients are cut into buckets", schedule: "how a bucket travels", wire: "how gradients travel",
  wait: "layer: for each layer's gradients before its next forward pass; all: after backprop", priorities: "whether first layers may overtake",
  steps: "simulated for each number of ranks", seed: "the same seed gives the same prediction", full: "whether every rank is simulated" };

const written = value => typeof value === "boolean" ? value ? "yes" : "no" : typeof value !== "number" ? value
  : Math.abs(value) >= 1000 ? grouped(value) : `${+value.toPrecision(6)}`;

/** The fields of an object, in the order of their words; `notes` are where they come from. */
function drawFields(id, object, words, notes = null) {
  const fields = [...Object.keys(words).filter(field => field in object), ...Object.keys(object).filter(field => field !== "notes" && !(field in words))];
  fill(byId(id), [["field", "left"], ["value", "left words"], ["what it is", "left words"], ...(notes ? [["where it is from", "left words"]] : [])],
    fields.map(field => [field, written(object[field]), words[field] ?? "", ...(notes ? [notes[field] ?? ""] : [])]));
}

drawHead(data.title, [
  ["model", `${profile.name}, ${grouped(profile.parameters)} parameters`], ["cluster", cluster.name], ["ranks", predicted.map(row => grouped(row.ranks)).join(", ")],
  ["batch", `${grouped(profile.batch)} a rank`], ["wire", settings.wire], ["buckets", `${settings.bucketBytes}, schedule ${settings.schedule}`]]);
drawFigures();
drawRows();
drawEffects();
drawSensitivities();
drawFields("cluster", cluster, clusterWords, cluster.notes);
drawFields("profile", profile, profileWords);
drawFields("settings", settings, settingsWords);
legend(byId("cause-legend"), data.causes.map(cause => [cause.name, cause.key, "", 1, cause.explanation]));
legend(byId("trainer-legend"), [["computing", "compute"], ...data.causes.map(cause => [`waiting: ${cause.name}`, cause.key, "", 1, cause.explanation])]);
keepDrawn(() => { drawEfficiency(); drawExposed(); });
