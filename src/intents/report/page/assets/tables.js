// Tables that were measured elsewhere, the hardest examples, and the findings about the data.

const SEVERITY = { high: "strong", medium: "middle" };

/** The cells of a column as texts: its numbers with the same digits, unless all of them are whole. */
function plainColumn(values) {
  const digits = values.some((value) => typeof value === "number" && !Number.isInteger(value)) ? 4 : 0;
  return values.map((value) => (value === null ? "–" : typeof value === "number" ? value.toFixed(digits) : value));
}

function plainTable({ columns, rows }, leftColumns) {
  const table = make("table");
  const cells = columns.map((_, column) => plainColumn(rows.map((row) => row[column])));
  fillTable(table, columns, rows.map((_, row) => cells.map((column) => column[row])), leftColumns);
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": columns[0] }, table);
}

function showMeasured(id, heading, remark) {
  if (!report[id].rows.length) return;
  byId(id).replaceChildren(make("h3", {}, heading), make("p", { class: "note" }, remark), plainTable(report[id], 1));
}

function showHardest(countedWrong) {
  const { true: truth, predicted } = report.utterances;
  const wrong = rowsWhere((row) => truth[row] !== outside && truth[row] !== predicted[row]);
  const accepted = rowsWhere((row) => truth[row] === outside && isAccepted(row));
  const { wrongly_accepted, threshold } = report.sweep;
  const countedAccepted = wrongly_accepted[threshold.indexOf(report.threshold)];
  const remark = (rows, counted, none) => (counted ? listRemark(rows.length, counted) : none);
  const noneWrong = "No in-scope utterance was predicted wrongly.";
  showUtterances(byId("hardest-wrong"), "Confidently wrong", remark(wrong, countedWrong, noneWrong), wrong);
  const noneAccepted = report.rows.out_of_scope ? "Every out-of-scope utterance was rejected." : "No out-of-scope utterance was tested.";
  showUtterances(byId("hardest-accepted"), "Out-of-scope, yet accepted", remark(accepted, countedAccepted, noneAccepted), accepted);
}

function showFinding({ severity, text, examples, hidden }) {
  const badge = make("span", { class: `badge short ${SEVERITY[severity] ?? ""}` }, severity);
  const more = hidden ? make("p", { class: "note" }, `${count(hidden)} more rows not shown.`) : null;
  const table = examples.rows.length ? plainTable(examples, examples.columns.length) : null;
  return make("div", { class: "finding" }, make("p", {}, badge, make("span", {}, text)), table, more);
}

function showFindings() {
  const none = make("p", { class: "note" }, "Nothing was found, or nothing was looked for.");
  byId("findings").replaceChildren(...(report.findings.length ? report.findings.map(showFinding) : [none]));
}

function showCarried() {
  const { in_scope, out_of_scope, carried } = report.rows;
  const all = in_scope + out_of_scope;
  const tested = `Tested on ${count(in_scope)} in-scope and ${count(out_of_scope)} out-of-scope rows.`;
  const some = ` Utterances shown come from ${count(carried)} of these ${count(all)} rows: mistakes first, then those nearest the threshold. All counts are of all rows.`;
  byId("carried").textContent = carried < all ? tested + some : tested;
}
