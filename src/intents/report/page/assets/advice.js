// What to do next.

const BADGE = { "before going live": "strong", "worth doing": "middle" };

function showAdvice(confusion) {
  const items = report.advice.map(({ urgency, text, section, pair }) => {
    const show = () => {
      if (pair) confusion.show(pair[0], pair[1]);
      byId(section).scrollIntoView();
    };
    const badge = make("span", { class: `badge ${BADGE[urgency] ?? ""}` }, urgency);
    return make("li", {}, badge, make("p", {}, text), button("show", show));
  });
  const nothing = make("li", {}, make("p", {}, "Nothing stands out: no rule of this page found anything to do."));
  byId("advice").replaceChildren(...(items.length ? items : [nothing]));
}
