// The table of intents: sorted by any column, filtered by name.

function bar(share) {
  const filled = make("span");
  filled.style.width = percent(share);
  return make("span", {}, make("span", { class: "bar" }, filled), percent(share));
}

function mistakenFor(label, confusion) {
  const { mistaken_for: other, mistaken } = report.per_intent;
  if (other[label] < 0) return "–";
  const show = () => {
    confusion.show(label, other[label]);
    byId("confusion").scrollIntoView();
  };
  return button(`${report.intents[other[label]]} (${count(mistaken[label])})`, show, "link");
}

function intentColumns(confusion) {
  const table = report.per_intent;
  const share = (name) => ({ value: (label) => table[name][label], cell: (label) => percent(table[name][label]) });
  const number = (name) => ({ value: (label) => table[name][label], cell: (label) => count(table[name][label]) });
  return [
    { name: "intent", value: (label) => report.intents[label], cell: (label) => report.intents[label] },
    { name: "F1", ...share("f1-score"), cell: (label) => bar(table["f1-score"][label]) },
    { name: "precision", ...share("precision") },
    { name: "recall", ...share("recall") },
    { name: "test rows", ...number("support") },
    ...(table.train_rows ? [{ name: "training rows", ...number("train_rows") }] : []),
    { name: "rejected", ...share("rejected") },
    { name: "mostly mistaken for", value: (label) => table.mistaken[label], cell: (label) => mistakenFor(label, confusion) },
  ];
}

function compareValues(one, other) {
  if (one === null || other === null) return (one === null) - (other === null);
  return typeof one === "string" ? one.localeCompare(other, "zh") : one - other;
}

function showIntents(confusion) {
  const columns = intentColumns(confusion);
  const rows = report.intents.map((_, label) =>
    make("tr", {}, ...columns.map(({ name, cell }) => make("td", isTextColumn(name) ? { class: "text" } : {}, cell(label)))),
  );
  const body = make("tbody");
  const sorted = { column: columns[1], ascending: true };
  const filter = byId("intents-filter");

  const update = () => {
    const wanted = filter.value.trim().toLowerCase();
    const shown = [...report.intents.keys()].filter((label) => report.intents[label].toLowerCase().includes(wanted));
    const direction = sorted.ascending ? 1 : -1;
    shown.sort((one, other) => direction * compareValues(sorted.column.value(one), sorted.column.value(other)) || one - other);
    body.replaceChildren(...shown.map((label) => rows[label]));
    byId("intents-count").textContent = `${count(shown.length)} of ${count(rows.length)} intents`;
    columns.forEach((column, place) => {
      const order = sorted.ascending ? "ascending" : "descending";
      head.cells[place].setAttribute("aria-sort", column === sorted.column ? order : "none");
    });
  };
  const sortBy = (column) => {
    sorted.ascending = column === sorted.column ? !sorted.ascending : column.name !== "mostly mistaken for";
    sorted.column = column;
    update();
  };
  const head = make(
    "tr",
    {},
    ...columns.map((column) => {
      const look = isTextColumn(column.name) ? { class: "text", scope: "col" } : { scope: "col" };
      return make("th", look, button(column.name, () => sortBy(column)));
    }),
  );
  byId("intents-table").replaceChildren(make("thead", {}, head), body);
  filter.addEventListener("input", update);
  update();
}

function isTextColumn(name) {
  return name === "intent" || name === "mostly mistaken for";
}
