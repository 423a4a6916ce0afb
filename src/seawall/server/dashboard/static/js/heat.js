// The stress grid as a real table: numbers first, a tint behind them, the worst cell ringed and marked.

import { h } from "./dom.js";
import { brief, signed, whole } from "./format.js";

/** Measures of a cell: words, how to read one, and how to write it. Larger is worse, but for equity. */
export const MEASURES = {
  liquidatable: { words: "accounts liquidatable or bankrupt", of: (cell) => cell.counts[2] + cell.counts[3], show: whole },
  bankrupt: { words: "accounts bankrupt", of: (cell) => cell.counts[3], show: whole },
  calls: { words: "accounts in margin call", of: (cell) => cell.counts[1], show: whole },
  at_risk: { words: "maintenance margin of accounts below it", of: (cell) => Number(cell.at_risk), show: brief },
  shortfall: { words: "shortfall of accounts below maintenance margin", of: (cell) => Number(cell.shortfall), show: brief },
  deficit: { words: "deficit: equity below zero, which others would pay", of: (cell) => Number(cell.deficit), show: brief },
  equity: { words: "total equity", of: (cell) => Number(cell.equity), show: brief, least: true },
};

export function heat(grid, measure) {
  const { of, show, words, least } = MEASURES[measure];
  const values = grid.cells.flat().filter(Boolean).map(of);
  const worst = least ? Math.min(...values) : Math.max(...values);
  const best = least ? Math.max(...values) : Math.min(...values);
  let ringed = false;
  const head = h("tr", {}, h("th", { scope: "col", class: "l" }, "vol \\ spot"), grid.spot.map((x) => h("th", { scope: "col" }, x ? signed(x, 0) : "now")));
  const lines = grid.cells.map((row, v) => h("tr", {}, h("th", { scope: "row", class: "l" }, grid.vol[v] ? signed(grid.vol[v], 0) : "now"), row.map((cell, s) => {
    if (!cell) return h("td", { title: "beyond the limits of values" }, "–");
    const value = of(cell);
    const share = worst === best ? 0 : Math.abs(value - best) / Math.abs(worst - best);
    const isWorst = !ringed && value === worst && worst !== best;
    ringed = ringed || isWorst;
    const now = grid.spot[s] === 0 && grid.vol[v] === 0;
    const made = h("td", { class: [isWorst ? "worst" : "", now ? "now" : ""].join(" ").trim() || null, title: isWorst ? "the worst cell" : null }, show(value));
    made.style.backgroundColor = `rgba(var(--heat), ${Math.sqrt(share).toFixed(3)})`;
    return made;
  })));
  return h("table", { class: "heat" }, h("caption", { class: "unseen" }, `${words}, by moves of all prices and all volatilities; the worst cell is marked ◎`), h("thead", {}, head), h("tbody", {}, lines));
}

/** The grid as CSV, every measure of every cell. */
export function csv(grid) {
  const names = Object.keys(MEASURES);
  const lines = [["spot", "vol", ...names].join(",")];
  grid.cells.forEach((row, v) => row.forEach((cell, s) => lines.push([grid.spot[s], grid.vol[v], ...names.map((name) => (cell ? MEASURES[name].of(cell) : ""))].join(","))));
  return lines.join("\r\n") + "\r\n";
}
