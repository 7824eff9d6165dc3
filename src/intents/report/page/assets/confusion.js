// The confusion matrix: a canvas that draws only what its box shows, so that 1,000 intents are no slower than 10.

const MATRIX = {
  labelled: 11, // cells from this size on have their names beside them, in pixels
  counted: 20, // and from this size on their counts in them
  slanted: 22,
  roomForNames: 150,
  highest: 780,
  listed: 10,
  fitted: 32,
  font: 'system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Droid Sans Fallback", sans-serif',
  right: [36, 92, 150],
  wrong: [200, 80, 30],
  rejected: [140, 90, 150],
  empty: "#e9edf1",
  grid: "#eef1f4",
  darkFrom: 0.4,
};

/** The counts of one way to predict, with or without rejection. */
function countsOf({ true: truth, predicted, rows }) {
  const cells = new Map();
  const totals = new Map();
  const mistakes = new Map();
  rows.forEach((number, place) => {
    const [row, column] = [truth[place], predicted[place]];
    cells.set(`${row} ${column}`, number);
    totals.set(row, (totals.get(row) ?? 0) + number);
    if (row === column) return;
    for (const label of new Set([row, column])) mistakes.set(label, (mistakes.get(label) ?? 0) + number);
  });
  return {
    cell: (row, column) => cells.get(`${row} ${column}`) ?? 0,
    total: (row) => totals.get(row) ?? 0,
    mistakes: (label) => mistakes.get(label) ?? 0,
    wrong: [...cells].map(([key]) => key.split(" ").map(Number)).filter(([row, column]) => row !== column),
  };
}

class ConfusionMatrix {
  constructor() {
    this.canvas = byId("matrix");
    this.box = byId("matrix-box");
    this.brush = this.canvas.getContext("2d");
    this.plain = countsOf(report.confusion);
    this.rejecting = countsOf(report.confusion_with_rejection);
    this.selected = null; // [true label, predicted label]; null in either place: any other than the right one
    this.cursor = [0, 0]; // places in what is drawn
    this.scrolled = [0, 0]; // down and right; asking the box for each cell would be slow
    this.listen();
    this.arrange();
    onWidth(this.box, () => {
      this.zoom(this.fittingSize());
      this.reveal(...this.cursor);
    });
  }

  listen() {
    for (const id of ["matrix-order", "matrix-mistakes", "matrix-rejects"]) {
      byId(id).addEventListener("change", () => this.rearrange());
    }
    byId("matrix-filter").addEventListener("input", () => this.rearrange());
    byId("matrix-zoom").addEventListener("input", (event) => this.zoom(Number(event.target.value)));
    this.box.addEventListener("scroll", () => this.paint());
    this.canvas.addEventListener("click", (event) => this.choose(this.placeAt(event)));
    this.canvas.addEventListener("mousemove", (event) => this.hover(this.placeAt(event)));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    this.canvas.addEventListener("focus", () => this.paint());
    this.canvas.addEventListener("blur", () => this.paint());
  }

  get rejects() {
    return byId("matrix-rejects").checked;
  }

  get counts() {
    return this.rejects ? this.rejecting : this.plain;
  }

  /** Decides which labels are drawn, in which order. */
  arrange() {
    const { counts } = this;
    let labels = { neighbours: report.neighbours, given: [...report.intents.keys()] }[byId("matrix-order").value];
    labels ??= [...report.intents.keys()].sort((one, other) => counts.mistakes(other) - counts.mistakes(one) || one - other);
    const found = this.found();
    labels = labels.filter((label) => found.has(label));
    if (byId("matrix-mistakes").checked) labels = labels.filter((label) => counts.mistakes(label));
    const hasOutOfScope = this.rejects && counts.total(outside) > 0;
    this.rows = hasOutOfScope ? [...labels, outside] : labels;
    this.columns = this.rejects ? [...labels, outside] : labels;
    this.cursor = [0, 0];
    this.showKey();
  }

  /** The labels that the filter names, and those they are mistaken for or from. */
  found() {
    const wanted = byId("matrix-filter").value.trim().toLowerCase();
    const isNamed = (label) => label !== outside && report.intents[label].toLowerCase().includes(wanted);
    const found = new Set([...report.intents.keys()].filter(isNamed));
    if (wanted) {
      for (const [row, column] of this.counts.wrong) {
        if (isNamed(row)) found.add(column);
        if (isNamed(column)) found.add(row);
      }
    }
    return found;
  }

  rearrange() {
    this.arrange();
    this.zoom(this.fittingSize());
  }

  /** Cells as large as the box allows, but legible. */
  fittingSize() {
    const room = this.box.clientWidth - this.nameRoom(MATRIX.fitted)[0];
    const fitting = Math.floor(room / Math.max(this.columns.length, 1));
    return Math.max(MATRIX.labelled + 1, Math.min(fitting, MATRIX.fitted));
  }

  zoom(size) {
    this.size = size;
    byId("matrix-zoom").value = size;
    [this.left, this.top] = this.nameRoom(size);
    this.width = this.left + size * this.columns.length + this.overhang(size);
    this.height = this.top + size * this.rows.length + 2;
    Object.assign(byId("matrix-area").style, { width: `${this.width}px`, height: `${this.height}px` });
    this.box.style.height = `${Math.min(this.height + 20, MATRIX.highest)}px`;
    this.paint();
  }

  /** The pixels that slanted names stand out over the last column. */
  overhang(size) {
    return size >= MATRIX.slanted ? this.top * 0.75 : 2;
  }

  fontSize(size) {
    return Math.min(12, Math.max(9, size - 1));
  }

  /** The room for names, to the left and at the top. */
  nameRoom(size) {
    if (size < MATRIX.labelled) return [18, 18];
    this.brush.font = `${this.fontSize(size)}px ${MATRIX.font}`;
    const names = [...this.rows.map(trueName), ...this.columns.map(predictedName)].map((name) => name.slice(0, 60));
    const longest = Math.max(0, ...names.map((name) => this.brush.measureText(name).width));
    const room = Math.min(longest, MATRIX.roomForNames) + 12;
    return [room + 6, (size >= MATRIX.slanted ? room * 0.75 : room) + 8];
  }

  /** Paints before the next frame, however often it is asked for. */
  paint() {
    if (this.isWaiting || !this.size) return;
    this.isWaiting = true;
    requestAnimationFrame(() => {
      this.isWaiting = false;
      this.paintNow();
    });
  }

  paintNow() {
    this.scrolled = [this.box.scrollTop, this.box.scrollLeft];
    const [width, height] = [Math.min(this.width, this.box.clientWidth), Math.min(this.height, this.box.clientHeight)];
    const scale = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    this.brush.scale(scale, scale);
    this.paintCells(width, height);
    this.paintMarks(width, height);
    if (this.size >= MATRIX.labelled) this.paintNames(width, height);
  }

  x(column) {
    return this.left + column * this.size - this.scrolled[1];
  }

  y(row) {
    return this.top + row * this.size - this.scrolled[0];
  }

  /** The drawn rows or columns of which something is in the box. */
  visible(labels, scrolled, extent) {
    const first = Math.max(0, Math.floor(scrolled / this.size));
    const last = Math.min(labels.length, Math.ceil((scrolled + extent) / this.size));
    return Array.from({ length: Math.max(0, last - first) }, (_, place) => first + place);
  }

  visibleRows(height) {
    return this.visible(this.rows, this.scrolled[0], height - this.top);
  }

  visibleColumns(width) {
    return this.visible(this.columns, this.scrolled[1], width - this.left);
  }

  clipped(left, top, width, height, paint) {
    this.brush.save();
    this.brush.beginPath();
    this.brush.rect(left, top, width, height);
    this.brush.clip();
    paint();
    this.brush.restore();
  }

  paintCells(width, height) {
    this.clipped(this.left, this.top, width - this.left, height - this.top, () => {
      for (const row of this.visibleRows(height)) {
        for (const column of this.visibleColumns(width)) this.paintCell(row, column);
      }
    });
  }

  paintCell(row, column) {
    const { brush, size } = this;
    const [truth, predicted] = [this.rows[row], this.columns[column]];
    const number = this.counts.cell(truth, predicted);
    const total = this.counts.total(truth);
    const [left, top] = [this.x(column), this.y(row)];
    const gap = size > 6 ? 1 : 0;
    const depth = number ? 0.12 + 0.88 * Math.sqrt(number / total) : 0;
    brush.fillStyle = number ? colour(truth, predicted, depth) : total ? MATRIX.grid : MATRIX.empty;
    brush.fillRect(left, top, size - gap, size - gap);
    if (!number || size < MATRIX.counted) return;
    brush.fillStyle = depth > MATRIX.darkFrom + 0.2 ? "white" : "#1f2933";
    brush.font = `${number > 999 ? 8 : 11}px ${MATRIX.font}`;
    brush.textAlign = "center";
    brush.textBaseline = "middle";
    brush.fillText(String(number), left + size / 2 - gap / 2, top + size / 2);
  }

  paintMarks(width, height) {
    const outline = (row, column, look) => {
      if (row < 0 || column < 0) return;
      this.brush.strokeStyle = look;
      this.brush.lineWidth = 2;
      this.brush.strokeRect(this.x(column) - 0.5, this.y(row) - 0.5, this.size, this.size);
    };
    this.clipped(this.left - 2, this.top - 2, width, height, () => {
      if (this.selected) outline(this.rows.indexOf(this.selected[0]), this.columns.indexOf(this.selected[1]), "#1f2933");
      if (document.activeElement === this.canvas) outline(this.cursor[0], this.cursor[1], "#1a5fa5");
    });
  }

  paintNames(width, height) {
    const { brush } = this;
    brush.textBaseline = "middle";
    const name = (text, isMarked) => {
      brush.font = `${isMarked ? "600 " : ""}${this.fontSize(this.size)}px ${MATRIX.font}`;
      brush.fillStyle = isMarked ? "#1f2933" : "#52606d";
      return fitted(brush, text, MATRIX.roomForNames);
    };
    this.clipped(0, this.top, this.left, height, () => {
      brush.textAlign = "right";
      for (const row of this.visibleRows(height)) {
        const text = name(trueName(this.rows[row]), this.selected?.[0] === this.rows[row]);
        brush.fillText(text, this.left - 7, this.y(row) + this.size / 2);
      }
    });
    this.clipped(this.left, 0, width, this.top, () => {
      brush.textAlign = "left";
      for (const column of this.visibleColumns(width)) {
        const text = name(predictedName(this.columns[column]), this.selected?.[1] === this.columns[column]);
        brush.save();
        brush.translate(this.x(column) + this.size / 2, this.top - 6);
        brush.rotate(this.size >= MATRIX.slanted ? -Math.PI / 4 : -Math.PI / 2);
        brush.fillText(text, 0, 0);
        brush.restore();
      }
    });
  }

  /** [row, column] under the mouse; -1 in either place: the names. null: nothing. */
  placeAt(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const place = (position, start, scrolled, length) => {
      if (position < start) return -1;
      const found = Math.floor((position - start + scrolled) / this.size);
      return found < length ? found : null;
    };
    const row = place(event.clientY - top, this.top, this.box.scrollTop, this.rows.length);
    const column = place(event.clientX - left, this.left, this.box.scrollLeft, this.columns.length);
    return row === null || column === null || (row < 0 && column < 0) ? null : [row, column];
  }

  labelsAt([row, column]) {
    return [row < 0 ? null : this.rows[row], column < 0 ? null : this.columns[column]];
  }

  choose(place) {
    if (!place) return;
    if (place[0] >= 0 && place[1] >= 0) this.cursor = place;
    this.show(...this.labelsAt(place));
  }

  hover(place) {
    if (place) this.readOut(...this.labelsAt(place));
  }

  press(event) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!this.rows.length) return;
    if (step) {
      const limits = [this.rows.length, this.columns.length];
      this.cursor = this.cursor.map((place, axis) => Math.min(Math.max(place + step[axis], 0), limits[axis] - 1));
      this.reveal(...this.cursor);
      this.readOut(...this.labelsAt(this.cursor));
    } else if (event.key === "Enter" || event.key === " ") {
      this.choose(this.cursor);
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Scrolls until this cell is in the box. */
  reveal(row, column) {
    const { box, size } = this;
    if (!size) return; // not laid out yet
    const into = (scrolled, place, room) => {
      const isInside = scrolled <= place * size && (place + 1) * size <= scrolled + room;
      return isInside ? scrolled : (place + 0.5) * size - room / 2;
    };
    box.scrollTop = into(box.scrollTop, row, box.clientHeight - this.top);
    box.scrollLeft = into(box.scrollLeft, column, box.clientWidth - this.left);
    this.paint();
  }

  describe(truth, predicted) {
    if (predicted === null) return `mistakes on ${trueName(truth)}`;
    if (truth === null) return `wrongly taken for ${predictedName(predicted)}`;
    const number = this.counts.cell(truth, predicted);
    const total = this.counts.total(truth);
    const share = total ? `: ${count(number)} of its ${count(total)} test rows (${percent(number / total)})` : ": it has no test rows";
    return `true ${trueName(truth)} → predicted ${predictedName(predicted)}${share}`;
  }

  readOut(truth, predicted) {
    byId("matrix-readout").textContent = this.describe(truth, predicted);
  }

  /** Shows a cell's utterances; null for the true or the predicted label: all mistakes of the other. */
  show(truth, predicted) {
    this.selected = [truth, predicted];
    const isMissing = (labels, label) => label !== null && !labels.includes(label);
    if (isMissing(this.rows, truth) || isMissing(this.columns, predicted)) {
      byId("matrix-filter").value = "";
      byId("matrix-mistakes").checked = false;
      if (truth === outside || predicted === outside) byId("matrix-rejects").checked = true;
      this.rearrange();
    }
    if (truth !== null && predicted !== null) {
      this.cursor = [this.rows.indexOf(truth), this.columns.indexOf(predicted)];
      this.reveal(...this.cursor);
    }
    this.paint();
    this.readOut(truth, predicted);
    this.listUtterances(truth, predicted);
  }

  listUtterances(truth, predicted) {
    const { utterances } = report;
    const predictedAs = (row) => (this.rejects && !isAccepted(row) ? outside : utterances.predicted[row]);
    const belongs = (row) =>
      (this.rejects || utterances.true[row] !== outside) &&
      (truth === null ? utterances.true[row] !== predicted : utterances.true[row] === truth) &&
      (predicted === null ? predictedAs(row) !== truth : predictedAs(row) === predicted);
    const found = rowsWhere(belongs);
    const counted = this.counted(truth, predicted);
    const heading = predicted === null || truth === null ? this.describe(truth, predicted) : `${trueName(truth)} → ${predictedName(predicted)}`;
    showUtterances(byId("matrix-utterances"), heading, listRemark(found.length, counted), found);
  }

  counted(truth, predicted) {
    if (truth !== null && predicted !== null) return this.counts.cell(truth, predicted);
    const mistaken = this.counts.wrong.filter(([row, column]) => (truth === null ? column === predicted : row === truth));
    return mistaken.reduce((sum, [row, column]) => sum + this.counts.cell(row, column), 0);
  }

  /** How many in-scope rows were predicted wrongly. */
  wrongRows() {
    return this.plain.wrong.reduce((sum, cell) => sum + this.plain.cell(...cell), 0);
  }

  /** Lists the fullest cells off the diagonal, and shows the first of them. */
  showWorst() {
    const { cell, wrong } = this.plain;
    const worst = [...wrong].sort((one, other) => cell(...other) - cell(...one)).slice(0, MATRIX.listed);
    const name = ([truth, predicted]) => `${trueName(truth)} → ${predictedName(predicted)} (${count(cell(truth, predicted))})`;
    const items = worst.map((place) => make("li", {}, button(name(place), () => this.show(...place), "link")));
    byId("matrix-worst").replaceChildren(...items);
    if (worst.length) this.show(...worst[0]);
  }

  showKey() {
    const plain = (shade) => `rgb(${shade.join(", ")})`;
    const keys = [swatch("right", plain(MATRIX.right)), swatch("taken for another intent", plain(MATRIX.wrong))];
    if (this.rejects) keys.push(swatch(`rejected as ${report.unknown}`, plain(MATRIX.rejected)));
    const hidden = report.intents.length - this.columns.filter((label) => label !== outside).length;
    const note = hidden ? `${count(hidden)} of ${count(report.intents.length)} intents not shown` : `${count(report.intents.length)} intents`;
    byId("matrix-key").replaceChildren(...keys, document.createTextNode(note));
  }
}

function colour(truth, predicted, depth) {
  const [red, green, blue] = truth === predicted ? MATRIX.right : predicted === outside ? MATRIX.rejected : MATRIX.wrong;
  const mix = (shade) => Math.round(255 - depth * (255 - shade));
  return `rgb(${mix(red)}, ${mix(green)}, ${mix(blue)})`;
}

/** The text, shortened to so many pixels. */
function fitted(brush, text, room) {
  if (brush.measureText(text).width <= room) return text;
  let kept = [...text].slice(0, 80);
  while (kept.length && brush.measureText(`${kept.join("")}…`).width > room) kept = kept.slice(0, -1);
  return `${kept.join("")}…`;
}
