// Reliability of the confidence, and what a service that acts on it does.

const RELIABILITY = { height: 330, left: 46, right: 12, top: 10, bottom: 84, widest: 560 };

function drawReliability(width) {
  const bins = report.reliability;
  const wide = Math.min(width, RELIABILITY.widest);
  const floor = RELIABILITY.height - RELIABILITY.bottom;
  const x = (confidence) => RELIABILITY.left + confidence * (wide - RELIABILITY.left - RELIABILITY.right);
  const y = (share) => floor - share * (floor - RELIABILITY.top);
  const picture = draw("svg", { viewBox: `0 0 ${width} ${RELIABILITY.height}`, height: RELIABILITY.height, role: "img", "aria-label": "Reliability diagram" });
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(
      draw("line", { x1: x(0), x2: x(1), y1: y(share), y2: y(share), stroke: "#eef1f4" }),
      draw("text", { x: RELIABILITY.left - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share, 0)),
      draw("text", { x: x(share), y: RELIABILITY.height - 22, "text-anchor": "middle" }, String(share)),
    );
  }
  const most = Math.max(...bins.rows);
  bins.rows.forEach((rows, bin) => {
    const place = { x: x(bins.low[bin]) + 1, width: x(bins.high[bin]) - x(bins.low[bin]) - 2 };
    const said = `confidence ${bins.low[bin].toFixed(2)} to ${bins.high[bin].toFixed(2)}: ${count(rows)} rows, ${percent(bins.accuracy[bin])} right, claimed ${percent(bins.confidence[bin])}`;
    const depth = (36 * rows) / most;
    picture.append(
      draw("rect", { ...place, y: y(bins.accuracy[bin]), height: floor - y(bins.accuracy[bin]), fill: "var(--in)", "fill-opacity": 0.7 }, draw("title", {}, said)),
      draw("rect", { ...place, y: floor + 4, height: Math.max(depth, 1), fill: "#9aa5b1" }, draw("title", {}, said)),
      draw("circle", { cx: x(bins.confidence[bin]), cy: y(bins.confidence[bin]), r: 3, fill: "var(--wrong)" }),
    );
  });
  picture.append(
    draw("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), stroke: "var(--wrong)", "stroke-dasharray": "4 4" }),
    draw("text", { x: x(0.02), y: RELIABILITY.top + 12 }, "bars: share that is right"),
    draw("text", { x: x(0.02), y: RELIABILITY.top + 28 }, "dots: what was claimed"),
    draw("text", { x: x(0.5), y: RELIABILITY.height - 4, "text-anchor": "middle" }, "confidence (grey below: how many rows)"),
  );
  return picture;
}

function showCalibration() {
  const picture = byId("reliability");
  onWidth(picture, (width) => picture.replaceChildren(drawReliability(width)));
  const number = (value) => (value === null ? "–" : value.toFixed(4));
  const hasBefore = report.calibration.some(({ before }) => before !== null);
  const headings = ["lower is better", ...(hasBefore ? ["before the temperature"] : []), hasBefore ? "after" : "value"];
  const rows = report.calibration.map(({ name, before, after }) => [name, ...(hasBefore ? [number(before)] : []), number(after)]);
  fillTable(byId("calibration-table"), headings, rows);
}

function showCoverage() {
  const { service, rows } = report;
  const hasOutOfScope = "out_of_scope_acts" in service;
  const headings = ["acts by", "from", "in-scope: acts on", "of those wrong", ...(hasOutOfScope ? ["out-of-scope: acts on", "all acted on: wrong"] : [])];
  const lines = service.threshold.map((threshold, place) => {
    const acted = Math.round(service.in_scope_acts[place] * rows.in_scope);
    const wrong = service.in_scope_wrong[place];
    const inScope = [percent(service.in_scope_acts[place]), `${count(wrong)} (${percent(acted ? wrong / acted : 0)})`];
    const outOfScope = hasOutOfScope ? [percent(service.out_of_scope_acts[place]), percent(service.wrong[place])] : [];
    return [service.rule[place], String(threshold), ...inScope, ...outOfScope];
  });
  fillTable(byId("coverage-table"), headings, lines);
  byId("coverage-note").textContent = hasOutOfScope
    ? "Acting on an out-of-scope utterance is always wrong; the last column depends on how many of them the test part has."
    : "No out-of-scope utterance was tested.";
}
