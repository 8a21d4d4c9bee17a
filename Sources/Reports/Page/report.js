// Puts the page together.
const hasBuckets = test => data.steps.some(step => step.ranks.some(rank => rank.buckets.map(bucketOf).some(test)));
const shownRank = () => Number(byId("rank").value || 0);

function drawFigures() {
  const [own, last] = [data.totals[0], data.epochs.at(-1)];
  const exposed = sum(own.exposed);
  const largest = causes(own.exposed).reduce((most, part) => part.seconds > most.seconds ? part : most);
  const tiles = [
    ["exposed", percent(share(exposed, own.trainingSeconds)), exposed > 0 ? `most of it: ${largest.name}` : "none"],
    ["hidden", percent(share(own.hiddenSeconds, own.trainingSeconds)), "behind computing"],
    ["time of a step", duration(share(own.trainingSeconds, own.steps)), `mean of ${grouped(own.steps)} steps`],
    ["computing", percent(share(own.computeSeconds, own.trainingSeconds)), `${duration(share(own.computeSeconds, own.steps))} a step`],
  ];
  if (last) {
    tiles.push(["samples a second", grouped(last.samplesPerSecond), "of all ranks, last epoch"]);
    tiles.push(["accuracy", `${(last.accuracy * 100).toFixed(2)} %`, `loss ${last.loss.toFixed(4)}, last epoch`]);
  }
  drawTiles(tiles);
}

function drawStepText() {
  const seen = view.step.ranks.find(rank => rank.rank === shownRank()) ?? view.step.ranks[0];
  const named = seen.named.map(([name, time]) => `, ${name} ${duration(time)}`).join("");
  const late = seen.late ? ` Rank ${seen.late[0]} came last, by ${duration(seen.late[1])}.` : "";
  byId("step-text").textContent = `On rank ${seen.rank} the step took ${seconds(seen.end - seen.start)}: computing ${duration(seen.compute)}, `
    + `waiting ${duration(sum(seen.exposed))}${named}; ${duration(seen.hidden)} of communication ran behind computing.${late}`;
}

function drawBuckets() {
  const seen = view.step.ranks.find(rank => rank.rank === shownRank()) ?? view.step.ranks[0];
  const buckets = seen.buckets.map(bucketOf);
  const longest = Math.max(0, ...buckets.map(bucket => sum(bucket.exposed)));
  fill(byId("buckets"), [
    ["bucket", "left"], ["parameters", "left name"], ["size", ""], ["kind", "left"], ["ready at", ""], ["turn", ""], ["first", ""],
    ["messages", ""], ["own work", ""], ["waited", ""], ["exposed by cause", "left"]],
  buckets.map(bucket => [
    `${bucket.index}`, parametersOf(bucket), bytes(bucket.count), kindOf(bucket), seconds(bucket.ready - seen.start),
    `+ ${seconds(bucket.started - bucket.ready)}`, `+ ${seconds(bucket.firstArrival - bucket.started)}`, `+ ${seconds(bucket.lastArrival - bucket.firstArrival)}`,
    `+ ${seconds(bucket.ended - bucket.lastArrival)}`, seconds(bucket.waitedTo - bucket.waitedFrom), bar(causes(bucket.exposed), longest)]));
}

function drawRanks() {
  const longest = Math.max(...data.totals.map(total => total.stepSeconds));
  fill(byId("ranks"), [
    ["rank", "left"], ["step, mean", ""], ["computing", ""], ["exposed", ""], ["hidden", ""], ["other", ""], ["of its time", "left"]],
  data.totals.map((total, rank) => {
    const named = total.named.map(([name, seconds]) => ({ name, colour: "named", seconds }));
    const parts = [{ name: "computing", colour: "compute", seconds: total.computeSeconds }, ...causes(total.exposed), ...named];
    return [
      `${rank}`, duration(share(total.stepSeconds, total.steps)), percent(share(total.computeSeconds, total.stepSeconds)),
      percent(share(sum(total.exposed), total.stepSeconds)), percent(share(total.hiddenSeconds, total.stepSeconds)),
      percent(share(sum(named.map(part => part.seconds)), total.stepSeconds)), bar(parts, longest)];
  }));
}

function drawLate() {
  const rows = [];
  data.totals.forEach((total, seer) => total.late.forEach(([rank, steps, seconds, longest]) => rows.push({ rank, seer, steps, seconds, longest, of: total.steps })));
  rows.sort((a, b) => b.seconds - a.seconds);
  const most = Math.max(0, ...rows.map(row => row.seconds));
  if (rows.length === 0) {
    byId("late").replaceWith(element("p", { class: "text", id: "late" }, "Nobody was waited for."));
    return;
  }
  fill(byId("late"), [
    ["rank", "left"], ["named by", "left"], ["steps", ""], ["of all", ""], ["mean", ""], ["longest", ""], ["in all", ""], ["", "left"]],
  rows.slice(0, 32).map(row => [
    `rank ${row.rank}`, `rank ${row.seer}`, grouped(row.steps), percent(share(row.steps, row.of)), duration(share(row.seconds, row.steps)), duration(row.longest),
    duration(row.seconds), bar([{ name: `rank ${row.rank}`, colour: "latePeer", seconds: row.seconds }], most)]));
}

/** Which steps can be looked at: the median and the slowest first. */
function drawChoice() {
  const name = step => step.step === data.median ? `${step.step} (median)` : step.step === data.slowest ? `${step.step} (slowest)` : `${step.step}`;
  const rank = step => step.step === data.median ? 0 : step.step === data.slowest ? 1 : 2;
  const ordered = [...data.steps].sort((a, b) => rank(a) - rank(b) || a.step - b.step);
  const length = step => seconds(Math.max(...step.ranks.map(seen => seen.end - seen.start)));
  byId("step").append(...ordered.map(step => element("option", { value: step.step }, `${name(step)}, ${length(step)}`)));
  byId("rank").append(...data.totals.map((_, rank) => element("option", { value: rank }, `rank ${rank}`)));
  view.step = ordered[0];
  byId("step").addEventListener("change", () => {
    view.step = data.steps.find(step => step.step === Number(byId("step").value));
    view.zoom = null;
    drawStep();
  });
  byId("rank").addEventListener("change", drawStep);
  byId("open").addEventListener("change", event => { view.isOpen = event.target.checked; drawTimeline(); });
  byId("open").closest("label").hidden = data.totals.length <= 2;
  byId("whole").addEventListener("click", () => { view.zoom = null; drawTimeline(); });
}

function drawStep() {
  drawTimeline();
  drawStepText();
  drawBuckets();
}

function drawAll() {
  if (view.step) drawStep();
  drawExposed();
  drawStepTimes();
  drawEpochs();
}

drawHead(data.title, data.facts, data.note);
drawFigures();
drawChoice();
drawRanks();
drawLate();
legend(byId("trainer-legend"), [
  ["computing", "compute"], ...data.causes.map(cause => [`waiting: ${cause.name}`, cause.key, "", 1, cause.explanation])]);
legend(byId("bucket-legend"), [
  ["bucket waits for its turn", "bulk", "thin"], ["for the first message", "bulk", "", 0.35], ["messages come", "bulk", "", 0.7],
  ["own work after the last", "bulk"], ...(hasBuckets(bucket => bucket.phase === 2) ? [["gather", "gather"]] : []),
  ...(hasBuckets(bucket => bucket.isUrgent) ? [["urgent", "urgent"]] : [])]);
for (const id of ["step-section", "bucket-section"]) byId(id).hidden = data.steps.length === 0;
keepDrawn(drawAll);
