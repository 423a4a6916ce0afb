// Stress: the whole book over spot × volatility, any measure, as a table and as CSV.

import { fill, h, panel, put, scroll } from "../dom.js";
import { age, brief, signed, stamp, whole } from "../format.js";
import { MEASURES, csv, heat } from "../heat.js";

export function open(app, main) {
  const given = new URLSearchParams(location.search).get("measure");
  const select = h("select", { id: "measure", onchange: () => { app.query({ measure: select.value === "liquidatable" ? "" : select.value }); again(); } },
    Object.entries(MEASURES).map(([key, one]) => h("option", { value: key }, one.words)));
  select.value = MEASURES[given] ? given : "liquidatable";
  const save = h("button", { type: "button", onclick: () => download(app.view && app.view.stress) }, "CSV");
  const grid = panel("Spot × volatility", "s12");
  const cells = panel("The same, cell by cell", "s12", { note: "worst first, by the chosen measure" });
  const box = h("div", {});
  const list = h("div", {});
  grid.side.append(h("label", { for: "measure", class: "unseen" }, "Measure"), select, save);
  grid.body.append(box, h("p", { class: "note" }, "All index prices move together by the same share, all volatilities by the same share of themselves, at once; each cell is a full evaluation of every account. The worst cell is ringed and marked ◎."));
  cells.body.append(list);
  fill(main, h("h1", {}, "Stress"), h("div", { class: "grid" }, grid.root, cells.root));
  let last = null;

  function again() {
    last = null;
    if (app.view) paint(app.view);
  }

  function paint(view) {
    const found = view.stress;
    if (found) put(grid.note, `${whole(found.accounts)} accounts at ${stamp(found.at_ms)} · ${age(Math.max(view.head.at_ms - found.at_ms, 0))} old · took ${age(found.took_ms)} of computing`);
    const key = found ? `${found.at_ms} ${select.value}` : "none";
    if (key === last) return;
    last = key;
    if (!found) {
      fill(box, h("p", { class: "empty" }, "Not computed yet: the first grid comes some seconds after somebody looks."));
      fill(list);
      return;
    }
    fill(box, scroll("Stress grid", heat(found, select.value)));
    fill(list, scroll("Cells", flat(found, select.value), true));
  }

  return { paint };
}

function flat(grid, measure) {
  const { of, least } = MEASURES[measure];
  const rows = grid.cells.flatMap((row, v) => row.map((cell, s) => ({ cell, spot: grid.spot[s], vol: grid.vol[v] }))).filter((one) => one.cell);
  rows.sort((a, b) => (least ? of(a.cell) - of(b.cell) : of(b.cell) - of(a.cell)));
  const heads = ["spot", "vol", "margin call", "liquidatable", "bankrupt", "MM at risk", "shortfall", "deficit", "equity"];
  const wide = new Set(["MM at risk", "shortfall", "equity"]);
  return h("table", {}, h("caption", { class: "unseen" }, "Every cell of the grid with every measure"),
    h("thead", {}, h("tr", {}, heads.map((word) => h("th", { scope: "col", class: wide.has(word) ? "wide" : null }, word)))),
    h("tbody", {}, rows.map(({ cell, spot, vol }) => h("tr", {},
      h("td", {}, spot ? signed(spot, 0) : "now"), h("td", {}, vol ? signed(vol, 0) : "now"),
      [1, 2, 3].map((k) => h("td", {}, whole(cell.counts[k]))),
      h("td", { class: "wide" }, brief(Number(cell.at_risk))), h("td", { class: "wide" }, brief(Number(cell.shortfall))),
      h("td", {}, brief(Number(cell.deficit))), h("td", { class: "wide" }, brief(Number(cell.equity)))))));
}

function download(grid) {
  if (!grid) return;
  const url = URL.createObjectURL(new Blob([csv(grid)], { type: "text/csv" }));
  const link = h("a", { href: url, download: "stress.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
