// Lists of utterances, wherever the page shows some.

const PAGE_OF_UTTERANCES = 40;

function verdictOn(row, threshold) {
  const { true: truth, predicted } = report.utterances;
  const accepted = isAccepted(row, threshold);
  if (truth[row] === outside) return accepted ? ["b", "accepted, but out-of-scope"] : ["i", "rejected"];
  if (!accepted) return ["b", "rejected, but in-scope"];
  return truth[row] === predicted[row] ? ["i", "right"] : ["b", "wrong"];
}

function utterance(row, threshold = report.threshold) {
  const { text, true: truth, predicted, confidence, energy, kind } = report.utterances;
  const [tag, verdict] = verdictOn(row, threshold);
  const origin = truth[row] === outside && kind[row] ? `${trueName(outside)}, ${kind[row]}` : trueName(truth[row]);
  const numbers = `confidence\u00a0${confidence[row].toFixed(3)}, energy\u00a0${energy[row].toFixed(2)}`;
  return make(
    "div",
    { class: "utterance" },
    make("div", { class: "said" }, text[row]),
    make("div", { class: "about" }, make(tag, {}, verdict), ` · ${origin} → ${report.intents[predicted[row]]} · ${numbers}`),
  );
}

/** A heading, a remark, and the utterances of these rows, the first of them at once. */
function showUtterances(panel, heading, remark, rows, threshold = report.threshold) {
  const list = make("div", { class: "list", tabindex: "0", role: "region", "aria-label": heading });
  const more = button("", () => showMore());
  const showMore = () => {
    const next = rows.slice(list.children.length, list.children.length + PAGE_OF_UTTERANCES);
    list.append(...next.map((row) => utterance(row, threshold)));
    more.textContent = `show more (${count(rows.length - list.children.length)} left)`;
    more.hidden = list.children.length >= rows.length;
  };
  showMore();
  panel.replaceChildren(make("h3", {}, heading), make("p", { class: "note" }, remark), list, more);
}

/** The carried rows that satisfy `belongs`, the most confident first. */
function rowsWhere(belongs) {
  const { text, confidence } = report.utterances;
  const rows = [...text.keys()].filter(belongs);
  return rows.sort((one, other) => confidence[other] - confidence[one]);
}

/** How many utterances a list has, and how many of so many the page carries, where that is not all. */
function listRemark(shown, counted) {
  const all = `${count(counted)} ${counted === 1 ? "utterance" : "utterances"}, the most confident first.`;
  return shown < counted ? `${all} The page carries ${count(shown)} of them.` : all;
}
