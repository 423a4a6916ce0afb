// One account beside the page: its live figures, from the stream, and the way to its own page.

import { attr, fill, h, problem, put, ask } from "./dom.js";
import { STATUSES, clock, micro, ratio, status, WORDS } from "./format.js";

const box = () => document.getElementById("drawer");
let shown = null; // { name, cells, from, more }

const FIELDS = ["equity", "initial margin", "maintenance margin", "health", "free collateral", "health ÷ MM"];

export function show(app, name, from = null) {
  const cells = FIELDS.map((field) => h("dd", {}, "–"));
  const state = h("span", { class: "st" }, "");
  const more = h("div", {}, h("p", { class: "note" }, "loading …"));
  const link = h("a", { class: "button", href: `/account/${encodeURIComponent(name)}`, onclick: (event) => { event.preventDefault(); hide(); app.go(event.currentTarget.getAttribute("href")); } }, "Open page");
  const close = h("button", { type: "button", onclick: () => box().close() }, "Close");
  fill(
    box(),
    h("div", { class: "top" }, h("h2", { id: "drawer-title" }, name), state, h("span", { class: "side" }, link, close)),
    h("dl", { class: "kpis" }, FIELDS.map((field, k) => h("div", { class: "kpi" }, h("dt", {}, field), cells[k]))),
    more,
  );
  shown = { name, cells, state, from, more };
  app.live.watch(name);
  box().addEventListener("close", () => {
    app.live.watch(null);
    if (shown && shown.from && shown.from.isConnected) shown.from.focus();
    shown = null;
  }, { once: true });
  if (!box().open) box().showModal();
  load(name);
}

export function hide() {
  if (box().open) box().close();
}

async function load(name) {
  try {
    const found = await ask(`/api/account/${encodeURIComponent(name)}`);
    if (!shown || shown.name !== name) return;
    const rows = found.positions.map((one) => h("tr", {}, h("td", { class: "l" }, one.leg), h("td", {}, one.quantity), h("td", {}, micro(Number(one.maintenance) * 1e6))));
    const head = ["position", "quantity", "maintenance"].map((word, k) => h("th", { scope: "col", class: k ? null : "l" }, word));
    fill(
      shown.more,
      h("h3", {}, "Positions"),
      rows.length ? h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)) : h("p", { class: "note" }, "none"),
      h("h3", {}, "Worst scenario"),
      h("p", {}, found.explain.worst_scenario || "the model has none"),
      h("h3", {}, "Decisions"),
      found.history.length
        ? h("table", {}, h("tbody", {}, found.history.slice(0, 12).map((d) => h("tr", {}, h("td", { class: "l" }, clock(d.at_ms)), h("td", { class: `l ${status(d.kind).class}` }, WORDS[d.kind] || d.kind), h("td", { class: "l wrap" }, d.cause)))))
        : h("p", { class: "note" }, "none since the start"),
    );
  } catch (error) {
    if (shown && shown.name === name) fill(shown.more, problem(error.message));
  }
}

export function paint(app) {
  if (!shown) return;
  const aside = app.live.aside;
  if (!aside || aside.account !== shown.name) return;
  const [level, equity, initial, maintenance] = aside.row;
  const texts = [micro(equity), micro(initial), micro(maintenance), micro(equity - maintenance), micro(equity - initial), ratio(equity, maintenance)];
  texts.forEach((text, k) => put(shown.cells[k], text));
  const word = status(STATUSES[level]);
  put(shown.state, word.text);
  attr(shown.state, "class", word.class);
}
