// Accounts: filtered, sorted and paged on the server over all of them; the address holds the question.

import { Rows, ask, attr, fill, h, panel, problem, put, scroll } from "../dom.js";
import { STATUSES, WORDS, age, micro, ratio, status, whole } from "../format.js";

const FIELDS = ["search", "status", "least", "sort", "descending", "offset"];
const LIMIT = 50;
const EVERY_MS = 2000;
const COLUMNS = [
  ["account", "account", "l"],
  ["status", "status", "l"],
  ["equity", "equity", "wide"],
  ["initial", "initial margin", "wide"],
  ["maintenance", "maintenance", "wide"],
  ["health", "health", ""],
  ["free", "free collateral", "wide"],
  ["ratio", "health ÷ MM", ""],
];

export function open(app, main) {
  const given = new URLSearchParams(location.search);
  const query = Object.fromEntries(FIELDS.map((name) => [name, given.get(name) || ""]));
  let timer = null;
  let running = null;
  let typed = null;

  const search = h("input", { id: "search", type: "search", placeholder: "part of a name", value: query.search, maxlength: "100", oninput: () => later({ search: search.value }) });
  const least = h("input", { id: "least", inputmode: "decimal", placeholder: "0", value: query.least, size: "9", oninput: () => later({ least: least.value.trim() }) });
  const ticks = STATUSES.map((word) => h("input", { type: "checkbox", checked: query.status.split(",").includes(word), onchange: () => change({ status: STATUSES.filter((_, k) => ticks[k].checked).join(",") }) }));
  const csv = h("a", { class: "button", download: "accounts.csv" }, "CSV");
  const total = h("span", { class: "note", role: "status" }, "");
  const { root, body } = panel("Accounts", "s12");
  const rows = new Rows(COLUMNS.map(([key, , cls]) => ({ head: "", class: cls, cell: cells[key] })), { caption: "Accounts; Enter opens one", empty: "no account passes the filter", onopen: (row, from) => app.open(row.key, from) });
  const heads = COLUMNS.map(([key, words, cls]) => h("th", { scope: "col", class: cls || null }, h("button", { type: "button", onclick: () => sort(key) }, words)));
  rows.head.replaceChildren(...heads);
  const previous = h("button", { type: "button", onclick: () => turn(-1) }, "Previous");
  const next = h("button", { type: "button", onclick: () => turn(1) }, "Next");
  const where = h("span", { class: "note" }, "");
  const fault = h("div", {});
  body.append(
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      h("label", { for: "search" }, "Search", search),
      h("fieldset", {}, h("legend", {}, "Status"), STATUSES.map((word, k) => h("label", { class: "tick" }, ticks[k], h("span", { class: status(word).class }, WORDS[word])))),
      h("label", { for: "least" }, "Least maintenance margin", least),
      h("span", { class: "end" }, total, csv)),
    fault, scroll("Accounts", rows.table), h("div", { class: "pager" }, previous, next, where));
  fill(main, h("h1", {}, "Accounts"), root);

  function later(changes) {
    clearTimeout(typed);
    typed = setTimeout(() => change(changes), 250);
  }

  function change(changes, keep = false) {
    Object.assign(query, changes);
    if (!keep) query.offset = "";
    app.query(query);
    load();
  }

  function sort(key) {
    const same = (query.sort || "ratio") === key;
    change({ sort: key, descending: same && query.descending !== "true" ? "true" : "" });
  }

  function turn(by) {
    change({ offset: String(Math.max(0, Number(query.offset || 0) + by * LIMIT)) }, true);
  }

  function words() {
    const asked = new URLSearchParams();
    for (const name of FIELDS) if (query[name]) asked.set(name, query[name]);
    return asked;
  }

  async function load() {
    clearTimeout(timer);
    if (running) running.abort();
    const mine = (running = new AbortController());
    const asked = words();
    csv.href = `/api/accounts.csv?${asked}`;
    heads.forEach((head, k) => attr(head, "aria-sort", (query.sort || "ratio") === COLUMNS[k][0] ? (query.descending === "true" ? "descending" : "ascending") : null));
    asked.set("limit", LIMIT);
    try {
      show(await ask(`/api/accounts?${asked}`, null, mine.signal));
      fill(fault);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(fault, problem(error.message));
    }
    timer = setTimeout(again, EVERY_MS);
  }

  function again() {
    if (app.paused || app.live.state === "down") timer = setTimeout(again, EVERY_MS);
    else load();
  }

  function show(page) {
    rows.set(page.rows.map(([key, level, equity, initial, maintenance]) => ({ key, level, equity, initial, maintenance })));
    put(total, `${whole(page.total)} accounts`);
    const first = page.total ? page.offset + 1 : 0;
    put(where, `${whole(first)} to ${whole(Math.min(page.offset + LIMIT, page.total))} of ${whole(page.total)}`);
    previous.disabled = page.offset === 0;
    next.disabled = page.offset + LIMIT >= page.total;
  }

  load();
  return {
    paint(view) {
      const behind = view.head.at_ms - view.head.figures_ms;
      attr(total, "title", behind > 0 ? `figures ${age(behind)} behind the engine` : null);
    },
    close() {
      clearTimeout(timer);
      clearTimeout(typed);
      if (running) running.abort();
    },
  };
}

const cells = {
  account: (row) => row.key,
  status: (row) => status(STATUSES[row.level]),
  equity: (row) => micro(row.equity),
  initial: (row) => micro(row.initial),
  maintenance: (row) => micro(row.maintenance),
  health: (row) => ({ text: micro(row.equity - row.maintenance), class: row.equity < row.maintenance ? "bad" : "" }),
  free: (row) => micro(row.equity - row.initial),
  ratio: (row) => ratio(row.equity, row.maintenance),
};
