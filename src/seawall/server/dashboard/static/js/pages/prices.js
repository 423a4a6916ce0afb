// Prices: each with its age, its sources and whether it is stale; and the paths of all since the page's data began.

import { Chart } from "../charts.js";
import { Rows, fill, h, panel, put, scroll } from "../dom.js";
import { age, clock, signed } from "../format.js";

const FIRST_PRICE = 10;
const LOOKS = [["accent", []], ["warn", [7, 4]], ["ok", [2, 3]], ["bust", [9, 3, 2, 3]], ["call", [4, 2]], ["liq", [12, 3]], ["mute", [1, 2]], ["text", [6, 2, 1, 2]], ["accent", [2, 6]], ["warn", [1, 4]], ["ok", [10, 4]], ["bust", [3, 6]]];

export function open(app, main) {
  const list = panel("Prices", "s7");
  const paths = panel("Change since the first price shown", "s5", { note: "per cent" });
  const rows = new Rows([
    { head: "name", class: "l", cell: (row) => row.key },
    { head: "price", cell: (row) => row.price },
    { head: "change", cell: (row) => ({ text: signed(row.change, 2), class: row.change < 0 ? "down" : row.change > 0 ? "up" : "" }) },
    { head: "deepest fall", class: "wide", cell: (row) => signed(row.low, 2) },
    { head: "age", cell: (row) => age(row.age) },
    { head: "state", class: "l", cell: (row) => (row.stale ? { text: "stale", class: "st st-stale" } : { text: "fresh", class: "st st-ok" }) },
    { head: "last heard", class: "l wide", cell: (row) => clock(row.at) },
    { head: "sources", class: "l wide", cell: (row) => row.sources.join(", ") || "–" },
  ], { caption: "Prices with age and sources", empty: "no prices yet" });
  list.body.append(scroll("Prices", rows.table));
  fill(main, h("h1", {}, "Prices"), h("div", { class: "grid" }, list.root, paths.root));
  let chart = null;
  let last = null;
  return {
    paint(view) {
      const names = Object.keys(view.prices);
      const stale = names.filter((name) => view.prices[name][5]).length;
      put(list.note, stale ? `${stale} of ${names.length} stale` : `${names.length}, all fresh`);
      rows.set(names.map((key) => {
        const [price, change, low, at, sources, late] = view.prices[key];
        return { key, price, change: change / 1e6, low: low / 1e6, age: view.head.now_ms - at, at, sources, stale: late };
      }));
      const points = view.series.filter((point, k) => k === 0 || point[1] > view.series[k - 1][1]);
      if (!points.length) return;
      const count = Math.min(points[0].length - FIRST_PRICE, LOOKS.length, names.length);
      if (!chart && count > 0) {
        chart = new Chart({ label: "Change of each price in per cent", height: 300, unit: " %", series: names.slice(0, count).map((name, k) => ({ name, colour: LOOKS[k][0], dash: LOOKS[k][1] })) });
        paths.side.append(chart.toggle);
        paths.body.append(chart.root);
      }
      const newest = points[points.length - 1][0];
      if (!chart || newest === last) return;
      last = newest;
      chart.set([points.map((p) => p[1] / 1000), ...Array.from({ length: count }, (_, k) => points.map((p) => 100 * (p[FIRST_PRICE + k] / points[0][FIRST_PRICE + k] - 1)))]);
    },
  };
}
