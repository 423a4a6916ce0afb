// Who would be closed first if the other side of an instrument failed: asked for one instrument and side at a time.

import { Rows, ask, attr, fill, h, panel, problem, put, scroll } from "../dom.js";
import { whole } from "../format.js";
import { amount } from "./words.js";

const EVERY_MS = 3000;
const COUNT = 50;

export function ranksPanel(app) {
  const { root, body, side, note } = panel("Deleveraging ranks", "s6");
  const stop = new AbortController();
  const given = new URLSearchParams(location.search);
  const instrument = h("select", { class: "small", "aria-label": "Instrument", onchange: () => again({ instrument: instrument.value }) });
  const which = h("select", { class: "small", "aria-label": "Side", onchange: () => again({ side: which.value === "short" ? "" : which.value }) }, [["short", "shorts, if longs fail"], ["long", "longs, if shorts fail"]].map(([value, words]) => h("option", { value }, words)));
  which.value = given.get("side") === "long" ? "long" : "short";
  side.append(instrument, which);
  const rows = new Rows([
    { head: "account", class: "l", cell: (row) => row.account },
    { head: "rank", cell: (row) => whole(row.rank) },
    { head: "quantity", cell: (row) => row.quantity },
    { head: "unhedged", class: "wide", cell: (row) => row.unhedged },
    { head: "profit", cell: (row) => amount(row.profit) },
    { head: "leverage", class: "wide", cell: (row) => (row.leverage === null || row.leverage === undefined ? "–" : `${Number(row.leverage).toFixed(2)} ×`) },
    { head: "health", class: "wide", cell: (row) => amount(row.health) },
  ], { caption: "Accounts in the order in which they would be closed", empty: "nobody holds this side", onopen: (row, from) => app.open(row.account, from) });
  const fault = h("div", {});
  body.append(fault, scroll("Deleveraging ranks", rows.table, true));
  let timer = null;
  let shown = false;

  function again(changes) {
    app.query(changes);
    load();
  }

  async function names() {
    const found = await ask("/api/instruments", null, stop.signal);
    const able = found.filter((one) => one.kind !== "spot");
    fill(instrument, able.map((one) => h("option", { value: one.symbol }, one.symbol)));
    const wanted = given.get("instrument");
    const first = able.find((one) => one.kind === "perpetual") || able[0];
    instrument.value = able.some((one) => one.symbol === wanted) ? wanted : first ? first.symbol : "";
  }

  async function load() {
    clearTimeout(timer);
    try {
      if (!instrument.options.length) await names();
      if (instrument.value && (!app.paused || !shown)) {
        const found = await ask(`/api/deleveraging?instrument=${encodeURIComponent(instrument.value)}&side=${which.value}&count=${COUNT}`, null, stop.signal);
        shown = true;
        rows.set(found.rows.map((row) => ({ ...row, key: row.account })));
        put(note, found.total > found.rows.length ? `the first ${whole(found.rows.length)} of ${whole(found.total)}` : `${whole(found.total)} in all`);
        attr(rows.table, "data-of", `${found.instrument} ${found.side}`);
      }
      fill(fault);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(fault, problem(error.message));
    }
    timer = setTimeout(load, EVERY_MS);
  }

  load();
  return { root, close() { clearTimeout(timer); stop.abort(); } };
}
