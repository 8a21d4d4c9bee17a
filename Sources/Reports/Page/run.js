// Charts over the run and over the epochs.
/** Under the pointer the slice of the run, with a line through it. */
function pointAt(drawn, slices, text) {
  const line = shape("line", { y1: chart.top, y2: drawn.height - chart.bottom, stroke: "var(--soft)", visibility: "hidden" });
  drawn.svg.append(line);
  const found = event => {
    const box = drawn.svg.getBoundingClientRect();
    const at = (event.clientX - box.left) * drawn.width / box.width;
    const slice = slices.findLast(slice => drawn.x(slice.step) <= at) ?? slices[0];
    const middle = drawn.x(slice.step + slice.count / 2);
    line.setAttribute("x1", middle);
    line.setAttribute("x2", middle);
    line.setAttribute("visibility", "visible");
    return text(slice);
  };
  explain(drawn.svg, found);
  drawn.svg.addEventListener("pointerleave", () => line.setAttribute("visibility", "hidden"));
}

const slices = data.slices.map(([step, count, whole, slowest, ...exposed]) => ({ step, count, whole, slowest, exposed }));
const stepsOf = slice => slice.count === 1 ? `step ${slice.step}` : `steps ${slice.step} to ${slice.step + slice.count - 1}`;

/** One area a cause, on top of each other; each slice of the run is as wide as it has steps. */
function drawExposed() {
  if (slices.length === 0) return;
  const end = slices.at(-1).step + slices.at(-1).count;
  const shares = slices.map(slice => slice.exposed.map(seconds => share(seconds, slice.whole)));
  const highest = Math.max(0.01, ...shares.map(sum));
  const drawn = axes(byId("exposed"), 210, [slices[0].step, end], 0, highest, percentTick);
  const below = slices.map(() => 0);
  data.causes.forEach((cause, index) => {
    let upper = "", lower = "";
    slices.forEach((slice, at) => {
      const [from, to] = [drawn.x(slice.step), drawn.x(slice.step + slice.count)].map(x => x.toFixed(1));
      const [low, high] = [below[at], below[at] + shares[at][index]].map(value => drawn.y(value).toFixed(1));
      upper += `${at ? "L" : "M"}${from} ${high}L${to} ${high}`;
      lower = `L${to} ${low}L${from} ${low}` + lower;
      below[at] += shares[at][index];
    });
    drawn.svg.append(shape("path", { d: `${upper}${lower}Z`, fill: `var(--${cause.key})`, class: "cause", "data-cause": cause.key }));
  });
  pointAt(drawn, slices, slice => `${stepsOf(slice)}\n` + causes(slice.exposed).filter(part => part.seconds > 0)
    .map(part => `${part.name}: ${percent(share(part.seconds, slice.whole))}`).concat(`in all ${percent(share(sum(slice.exposed), slice.whole))}`).join("\n"));
  legend(byId("cause-legend"), data.causes.map(cause => [cause.name, cause.key, "", 1, cause.explanation]));
}

function drawStepTimes() {
  if (slices.length === 0) return;
  const end = slices.at(-1).step + slices.at(-1).count;
  const drawn = axes(byId("step-times"), 130, [slices[0].step, end], 0, Math.max(...slices.map(slice => slice.slowest)), duration);
  const path = value => slices.map((slice, at) =>
    `${at ? "L" : "M"}${drawn.x(slice.step).toFixed(1)} ${drawn.y(value(slice)).toFixed(1)}H${drawn.x(slice.step + slice.count).toFixed(1)}`).join("");
  if (slices.some(slice => slice.count > 1)) {
    drawn.svg.append(shape("path", { d: path(slice => slice.slowest), fill: "none", stroke: "var(--slowest)", "stroke-width": 1, class: "slowest" }));
  }
  drawn.svg.append(shape("path", { d: path(slice => slice.whole / slice.count), fill: "none", stroke: "var(--mean)", "stroke-width": 1.4, class: "mean" }));
  pointAt(drawn, slices, slice => `${stepsOf(slice)}\nmean ${duration(slice.whole / slice.count)}\nslowest ${duration(slice.slowest)}`);
}

/** A value an epoch. */
function drawLine(id, values, low, write) {
  const drawn = axes(byId(id), 170, [1, values.length], low, Math.max(...values), write);
  lineThrough(drawn, values.map((value, index) => ({ x: drawn.x(index + 1), y: drawn.y(value), text: `epoch ${index + 1}: ${write(value)}` })));
}

function drawEpochs() {
  const epochs = data.epochs;
  byId("epoch-section").hidden = epochs.length === 0;
  if (epochs.length === 0) return;
  drawLine("loss", epochs.map(epoch => epoch.loss), 0, value => +value.toPrecision(3) + "");
  const worst = Math.min(...epochs.map(epoch => epoch.accuracy));
  drawLine("accuracy", epochs.map(epoch => epoch.accuracy), Math.max(0, Math.floor(worst * 20 - 0.5) / 20), percentTick);
  // The first epochs and the last ones: the charts have all.
  const shown = epochs.map((epoch, index) => [index, epoch]).filter(([index]) => index < 5 || index >= epochs.length - 15);
  fill(byId("epochs"), [["epoch", "left"], ["loss", ""], ["accuracy", ""], ["seconds", ""], ["samples/s", ""], ["exposed", ""]],
    shown.map(([index, epoch]) => [
      `${index + 1}`, epoch.loss.toFixed(4), `${(epoch.accuracy * 100).toFixed(2)} %`, epoch.seconds.toFixed(2), grouped(epoch.samplesPerSecond),
      percent(share(epoch.exposedSeconds, epoch.seconds))]));
}
