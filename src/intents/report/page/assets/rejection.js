// The threshold: what another one would accept and reject of the test rows.

const ENERGY = { height: 230, left: 44, right: 10, top: 12, bottom: 40 };
const NEAR_THRESHOLD = 8;
const GROUPS = [
  { name: "in-scope", counts: "in_scope", accepted: "accepted", colour: "var(--in)" },
  { name: "out-of-scope", counts: "out_of_scope", accepted: "wrongly_accepted", colour: "var(--out)" },
];

function presentGroups() {
  return GROUPS.filter((group) => report.rows[group.counts] > 0);
}

/** Round numbers from low to high, about so many. */
function ticks(low, high, about) {
  const rough = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, place) => first + place * step);
}

function drawEnergies(width) {
  const { low, high } = report.histogram;
  const [lowest, highest] = [low[0], high.at(-1)];
  const x = (energy) => ENERGY.left + ((energy - lowest) / (highest - lowest)) * (width - ENERGY.left - ENERGY.right);
  const groups = presentGroups();
  const shares = groups.map((group) => report.histogram[group.counts].map((number) => number / report.rows[group.counts]));
  const tallest = Math.max(...shares.flat());
  const floor = ENERGY.height - ENERGY.bottom;
  const y = (share) => floor - (share / tallest) * (floor - ENERGY.top - 18);
  const picture = draw("svg", { viewBox: `0 0 ${width} ${ENERGY.height}`, height: ENERGY.height, role: "img", "aria-label": "Histogram of energies" });
  groups.forEach((group, place) => {
    shares[place].forEach((share, bar) => {
      const size = { x: x(low[bar]), y: y(share), width: Math.max(x(high[bar]) - x(low[bar]) - 0.5, 0.5), height: floor - y(share) };
      picture.append(draw("rect", { ...size, fill: group.colour, "fill-opacity": 0.6 }));
    });
  });
  picture.append(draw("line", { x1: ENERGY.left, x2: width - ENERGY.right, y1: floor, y2: floor, stroke: "#9aa5b1" }));
  for (const share of ticks(0, tallest, 4)) {
    picture.append(draw("text", { x: ENERGY.left - 6, y: y(share) + 4, "text-anchor": "end" }, percent(share, tallest < 0.04 ? 1 : 0)));
  }
  for (const energy of ticks(lowest, highest, width / 90)) {
    picture.append(draw("text", { x: x(energy), y: floor + 15, "text-anchor": "middle" }, String(Number(energy.toFixed(6)))));
  }
  picture.append(draw("text", { x: (width + ENERGY.left) / 2, y: ENERGY.height - 8, "text-anchor": "middle" }, "energy (lower is more in-scope); the bars of a group add up to 100%"));
  return { picture, x, floor };
}

class Rejection {
  constructor() {
    this.slider = byId("threshold");
    const { threshold } = report.sweep;
    this.own = threshold.indexOf(report.threshold);
    Object.assign(this.slider, { max: threshold.length - 1, value: this.own });
    this.byEnergy = [...report.utterances.energy.keys()].sort((one, other) => report.utterances.energy[one] - report.utterances.energy[other]);
    this.slider.addEventListener("input", () => this.update());
    byId("threshold-reset").addEventListener("click", () => {
      this.slider.value = this.own;
      this.update();
    });
    const keys = presentGroups().map((group) => swatch(`${group.name}: ${count(report.rows[group.counts])} rows`, group.colour));
    byId("energy-key").replaceChildren(...keys);
    onWidth(byId("energy-picture"), (width) => this.draw(width));
    this.update();
  }

  get step() {
    return Number(this.slider.value);
  }

  get threshold() {
    return report.sweep.threshold[this.step];
  }

  draw(width) {
    const { picture, x, floor } = drawEnergies(width);
    this.x = x;
    const upright = { y1: ENERGY.top + 10, y2: floor };
    this.line = draw("line", { ...upright, stroke: "var(--mark)", "stroke-width": 2 });
    this.lineName = draw("text", { y: ENERGY.top, class: "strong" });
    const own = x(report.threshold);
    picture.append(draw("line", { ...upright, x1: own, x2: own, stroke: "#52606d", "stroke-dasharray": "3 3" }), this.line, this.lineName);
    byId("energy-picture").replaceChildren(picture);
    this.width = width;
    this.moveLine();
  }

  moveLine() {
    if (!this.line) return; // not drawn yet
    const position = this.x(this.threshold);
    this.line.setAttribute("x1", position);
    this.line.setAttribute("x2", position);
    this.lineName.setAttribute("x", position);
    this.lineName.setAttribute("text-anchor", position < 120 ? "start" : position > this.width - 120 ? "end" : "middle");
    this.lineName.textContent = `accepted ← ${this.threshold.toFixed(2)} → rejected`;
  }

  update() {
    this.moveLine();
    const isOwn = this.step === this.own;
    const text = this.threshold.toFixed(3);
    byId("threshold-value").textContent = isOwn ? `${text}, the model's own` : `${text} (the model's own is ${report.threshold.toFixed(3)}, dashed)`;
    this.slider.setAttribute("aria-valuetext", text);
    byId("threshold-reset").hidden = isOwn;
    byId("threshold-use").textContent = isOwn ? "" : `To train with it: threshold_rule=fixed, fixed_threshold=${this.threshold.toFixed(4)}.`;
    this.showCounts();
    this.showMeasures();
    this.showNear();
  }

  showCounts() {
    const rows = presentGroups().map((group) => {
      const [accepted, total] = [report.sweep[group.accepted][this.step], report.rows[group.counts]];
      const withShare = (number) => `${count(number)} (${percent(number / total)})`;
      return [group.name, withShare(accepted), withShare(total - accepted)];
    });
    fillTable(byId("threshold-counts"), ["", "accepted", "rejected"], rows);
  }

  showMeasures() {
    const { sweep } = report;
    const right = (step) => sweep.accepted_right[step] / sweep.accepted[step];
    const lines = [["accuracy of accepted in-scope", right]];
    for (const name of ["precision", "recall", "f1"]) {
      if (sweep[name]) lines.push([name === "f1" ? "F1 of accepting" : `${name} of accepting`, (step) => sweep[name][step]]);
    }
    const rows = lines.map(([name, measure]) => [name, percent(measure(this.step)), percent(measure(this.own))]);
    fillTable(byId("threshold-measures"), ["", "here", "model's own"], rows);
  }

  showNear() {
    const boundary = this.byEnergy.findIndex((row) => !isAccepted(row, this.threshold));
    const end = boundary < 0 ? this.byEnergy.length : boundary;
    const accepted = this.byEnergy.slice(Math.max(0, end - NEAR_THRESHOLD), end).reverse();
    const rejected = this.byEnergy.slice(end, end + NEAR_THRESHOLD);
    const remark = (rows) => (rows.length ? "Nearest the threshold first." : "None.");
    showUtterances(byId("just-accepted"), "Just accepted", remark(accepted), accepted, this.threshold);
    showUtterances(byId("just-rejected"), "Just rejected", remark(rejected), rejected, this.threshold);
  }
}
