// Audit: the state's hash and the log's offset, whether a full evaluation contradicts any recorded status, and every
// decision that is kept.

import { Rows, ask, fill, h, panel, problem, put, scroll } from "../dom.js";
import { WORDS, micro, stamp, status, whole } from "../format.js";

const KINDS = ["margin_call", "liquidatable", "bankrupt", "recovered"];
const COUNT = 100;

export function open(app, main) {
  const stop = new AbortController();
  const given = new URLSearchParams(location.search);
  const query = { account: given.get("account") || "", kind: given.get("kind") || "", before: 0 };
  const state = panel("State and log", "s12");
  const run = h("button", { type: "button", class: "primary", onclick: () => check() }, "Compare with a full evaluation");
  state.side.append(run);
  const answer = h("div", {}, h("p", { class: "note" }, "Reads the state hash and evaluates every account anew, beside what is recorded. It takes a moment of the engine's time."));
  state.body.append(answer);
  const list = panel("Decisions", "s12");
  const account = h("input", { id: "au-account", type: "search", placeholder: "a whole name", value: query.account, onchange: () => change({ account: account.value.trim() }) });
  const kind = h("select", { id: "au-kind", onchange: () => change({ kind: kind.value }) }, h("option", { value: "" }, "all"), KINDS.map((word) => h("option", { value: word }, WORDS[word])));
  kind.value = query.kind;
  const rows = new Rows([
    { head: "number", class: "l", cell: (row) => whole(row.n) },
    { head: "time", class: "l", cell: (row) => stamp(row.at_ms) },
    { head: "account", class: "l", cell: (row) => row.account },
    { head: "decision", class: "l", cell: (row) => status(row.kind) },
    { head: "equity", class: "wide", cell: (row) => micro(row.equity) },
    { head: "maintenance", class: "wide", cell: (row) => micro(row.maintenance) },
    { head: "health", class: "wide", cell: (row) => micro(row.equity - row.maintenance) },
    { head: "cause", class: "l wide", cell: (row) => row.cause },
  ], { caption: "Decisions, newest first", empty: "none" });
  const older = h("button", { type: "button", onclick: () => load(true) }, "Older");
  const newest = h("button", { type: "button", onclick: () => load() }, "Newest");
  const fault = h("div", {});
  list.body.append(h("form", { class: "filters", onsubmit: (event) => event.preventDefault() }, h("label", { for: "au-account" }, "Account", account), h("label", { for: "au-kind" }, "Decision", kind)), fault, scroll("Decisions", rows.table), h("div", { class: "pager" }, newest, older));
  fill(main, h("h1", {}, "Audit"), h("div", { class: "grid" }, state.root, list.root));

  function change(changes) {
    Object.assign(query, changes);
    app.query({ account: query.account, kind: query.kind });
    load();
  }

  async function load(more = false) {
    const before = more ? query.before : 0;
    try {
      const found = await ask(`/api/decisions?${new URLSearchParams({ account: query.account, kind: query.kind, count: COUNT, before })}`, null, stop.signal);
      rows.set(found.map((row) => ({ key: row.n, ...row })));
      query.before = found.length ? found[found.length - 1].n : before;
      older.disabled = found.length < COUNT;
      fill(fault);
    } catch (error) {
      if (error.name !== "AbortError") fill(fault, problem(error.message));
    }
  }

  async function check() {
    run.disabled = true;
    try {
      const found = await ask("/api/audit", null, stop.signal);
      const verdict = found.contradictions === null ? "not compared by this source" : found.contradictions ? `${whole(found.contradictions)} contradicted: ${found.contradicted.join(", ")}` : `none of ${whole(found.accounts)} contradicted`;
      const facts = [["recorded statuses", verdict], ["state hash", found.state_hash], ["engine time", stamp(found.at_ms)], ["decisions", whole(found.decisions)],
        ...Object.entries(found.journal || {}).map(([name, value]) => [name.replaceAll("_", " "), String(value)]),
        ...Object.entries(found.metrics || {}).map(([name, value]) => [name.replaceAll("_", " "), whole(value)])];
      fill(answer, h("dl", { class: "facts", id: "verdict" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value === null ? "–" : value)])), writes(found.writes));
    } catch (error) {
      if (error.name !== "AbortError") fill(answer, problem(error.message));
    }
    run.disabled = false;
  }

  load();
  return { paint() {}, close: () => stop.abort() };
}

/** The trail of writes with their keys, where the source keeps one. */
function writes(rows) {
  if (!rows || !rows.length) return null;
  return [h("h3", {}, "Last writes"), h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Last writes" }, h("table", {},
    h("thead", {}, h("tr", {}, ["sequence", "time", "key", "what"].map((word) => h("th", { scope: "col", class: "l" }, word)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, [whole(row.sequence), stamp(row.at_ms), row.key, row.what].map((text) => h("td", { class: "l" }, text)))))))];
}
