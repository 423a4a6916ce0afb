// Overview: symptoms above (totals, who is in trouble), causes below (prices, stress, equity against margin).

import { Chart, DASHES, draw, spark } from "../charts.js";
import { Rows, attr, fill, h, panel, put, scroll } from "../dom.js";
import { STATUSES, WORDS, age, brief, clock, micro, money, percent, ratio, signed, status, whole } from "../format.js";
import { heat } from "../heat.js";

const HISTOGRAM = ["bankrupt", "below 0", "0 – 10 %", "10 – 25 %", "25 – 50 %", "50 – 100 %", "1 – 2 ×", "2 – 4 ×", "over 4 ×", "no margin"];
const KPIS = ["accounts", "equity", "maintenance margin", "used: MM ÷ equity", "MM at risk", "deficit", "being closed", "fund", "largest 10 accounts", "engine, per tick"];
const RANKS = {
  ratio: ["worst first, by health ÷ MM", "50 with at least 100 of maintenance margin"],
  next: ["next to fall, by health ÷ MM", "50 still above it, with at least 100 of maintenance margin"],
  shortfall: ["largest shortfall, in money", "50 below maintenance margin"],
};
const FIRST_PRICE = 10; // where prices begin in a point of the histories

export function open(app, main) {
  const kpis = KPIS.map((name) => ({ value: h("dd", {}, "–"), sub: h("span", { class: "sub" }, " "), name }));
  const strip = h("dl", { class: "kpis ten" }, kpis.map((kpi) => (kpi.box = h("div", { class: "kpi" }, h("dt", {}, kpi.name), kpi.value))));
  const prices = pricePanel();
  const statuses = statusPanel();
  const health = healthPanel();
  const near = nearPanel(app);
  const log = logPanel(app);
  const stress = stressPanel(app);
  const money_ = moneyPanel();
  fill(main, h("h1", { class: "unseen" }, "Overview"), strip,
    h("div", { class: "grid" }, prices.root, statuses.root, health.root, near.root, log.root, stress.root, money_.root));
  return {
    paint(view) {
      paintKpis(kpis, view);
      for (const part of [prices, statuses, health, near, log, stress, money_]) part.paint(view);
    },
  };
}

function paintKpis(kpis, view) {
  const totals = view.totals;
  const [equity, maintenance] = [Number(totals.equity), Number(totals.maintenance)];
  const under = view.counts[2] + view.counts[3];
  const head = view.head;
  const rows = [
    [whole(head.accounts), `${whole(view.counts[1])} in margin call`],
    [brief(equity), `free ${brief(equity - Number(totals.initial))}`, totals.equity],
    [brief(maintenance), `initial ${brief(Number(totals.initial))}`, totals.maintenance],
    [percent(equity > 0 ? maintenance / equity : NaN), "of all equity"],
    [brief(Number(totals.at_risk)), `${whole(under)} below MM`, totals.at_risk, under ? "bad" : ""],
    [brief(Number(totals.deficit)), `to MM ${brief(Number(totals.shortfall))}`, totals.deficit, Number(totals.deficit) > 0 ? "bad" : ""],
    closed(view.closing),
    fund(view.closing),
    [percent(view.conc ? view.conc.top10 : NaN), `top 1 %: ${percent(view.conc ? view.conc.top1pct : NaN)}`, "shares of all maintenance margin"],
    engine(head),
  ];
  rows.forEach(([value, sub, title, state], k) => {
    const kpi = kpis[k];
    if (kpi.sub.parentNode !== kpi.value) fill(kpi.value, h("span", {}, ""), kpi.sub);
    put(kpi.value.firstChild, value);
    put(kpi.sub, sub);
    attr(kpi.sub, "title", sub);
    attr(kpi.value, "title", title || null);
    attr(kpi.box, "data-state", state || null);
  });
}

/** Accounts being closed, and in how many auctions; a dash where nobody closes any. */
function closed(closing) {
  if (!closing || closing.why) return ["–", "none by this engine", closing && closing.why];
  const [open_] = closing.auctions;
  return [whole(closing.total), open_ ? `${whole(open_)} auctions open` : "no auction open", null, closing.total ? "warn" : ""];
}

/** What the global fund holds, and what stands before it. */
function fund(closing) {
  if (!closing || closing.why || !closing.fund) return ["–", "none here", closing && closing.why];
  const tranches = closing.tranches.reduce((sum, [, balance]) => sum + Number(balance), 0);
  const providers = closing.vaults.reduce((sum, one) => sum + Number(one.capacity), 0);
  const owed = closing.claims ? Number(closing.claims.owed) : 0;
  const before = `before it ${brief(tranches + providers)}`;
  return [brief(Number(closing.fund.balance)), owed ? `claims ${brief(owed)}` : before, `${closing.fund.balance}: ${closing.fund.available} may be paid now; tranches ${tranches}, providers ${providers}`, owed ? "bad" : ""];
}

const took = (us) => (us >= 1000 ? `${(us / 1000).toFixed(us >= 10_000 ? 1 : 2)} ms` : `${brief(us)} µs`);

/** What is known of the engine's own health: its tick time where it is told, and how old the figures are. */
function engine(head) {
  const old = head.at_ms - head.figures_ms;
  const sub = old > 0 ? `data ${age(old)} old` : "data now";
  if (head.tick_p99_us !== undefined) return [took(head.tick_p99_us), `p99 · ${sub}`, head.tick_count ? `99th percentile of ${whole(head.tick_count)} ticks of the last minute, from the request until its decisions are durable` : null];
  if (head.tick_us !== undefined) return [`${brief(head.tick_us)} µs`, sub];
  return ["–", sub];
}

function pricePanel() {
  const { root, body, note } = panel("Prices", "s4");
  const sparks = new Map();
  const rows = new Rows([
    { head: "name", class: "l", cell: (row) => row.key },
    { head: "price", cell: (row) => row.price },
    { head: "change", cell: (row) => ({ text: signed(row.change), class: row.change < 0 ? "down" : row.change > 0 ? "up" : "" }) },
    { head: "path", cell: (row) => ({ node: row.spark }) },
    { head: "age", cell: (row) => (row.stale ? { text: `stale ${age(row.age)}`, class: "st st-stale" } : age(row.age)) },
  ], { caption: "Index prices with their change since the start and their age" });
  body.append(scroll("Prices", rows.table, true));
  return {
    root,
    paint(view) {
      const names = Object.keys(view.prices);
      put(note, `${names.length} · change since the start`);
      rows.set(names.map((key, k) => {
        const [price, change, , at, , stale] = view.prices[key];
        if (!sparks.has(key)) sparks.set(key, spark([0, 0], 56));
        const path = view.series.length > 1 && view.series[0].length > FIRST_PRICE + k ? sample(view.series, FIRST_PRICE + k) : null;
        if (path) draw(sparks.get(key), path, 56);
        return { key, price, change: change / 1e6, age: view.head.now_ms - at, stale, spark: sparks.get(key) };
      }));
    },
  };
}

function sample(series, column) {
  const every = Math.max(1, Math.floor(series.length / 56));
  const out = [];
  for (let k = 0; k < series.length; k += every) out.push(series[k][column]);
  return out;
}

const SPANS = [["series", "5 min"], ["day", "24 h"]];

function spans(side, chosen) {
  const buttons = SPANS.map(([name, words]) => h("button", { type: "button", class: "small", "aria-pressed": String(name === chosen.of), onclick: () => {
    chosen.of = name;
    chosen.last = null;
    buttons.forEach((b, k) => attr(b, "aria-pressed", SPANS[k][0] === name));
    chosen.again();
  } }, words));
  side.append(...buttons);
}

function history(chart, chosen, pick) {
  return (view) => {
    const points = view[chosen.of];
    const last = points.length ? points[points.length - 1][0] : 0;
    if (last === chosen.last) return;
    chosen.last = last;
    const rising = points.filter((point, k) => k === 0 || point[1] > points[k - 1][1]);
    chart.set([rising.map((point) => point[1] / 1000), ...pick(rising)]);
  };
}

function statusPanel() {
  const { root, body, side } = panel("Accounts by status", "s5");
  const chart = new Chart({
    label: "Accounts in margin call, liquidatable and bankrupt over time, logarithmic",
    log: true,
    series: [1, 2, 3].map((k) => ({ name: WORDS[STATUSES[k]], colour: ["", "call", "liq", "bust"][k], dash: DASHES[STATUSES[k]], width: 2 })),
  });
  body.append(chart.root);
  let seen = null;
  const chosen = { of: "series", last: null, again: () => seen && paint(seen) };
  const draw_ = history(chart, chosen, (points) => [1, 2, 3].map((k) => points.map((point) => point[2 + k])));
  const paint = (view) => { seen = view; draw_(view); };
  spans(side, chosen);
  side.append(chart.toggle);
  return { root, paint };
}

function healthPanel() {
  const { root, body } = panel("Health ÷ maintenance", "s3", { note: "accounts, log bars" });
  const fills = HISTOGRAM.map((_, k) => h("div", { class: `fill b${k}` }));
  const counts = HISTOGRAM.map(() => h("span", {}, "0"));
  const list = h("dl", { class: "bars" }, HISTOGRAM.map((name, k) => [h("dt", {}, name), h("dd", {}, h("div", { class: "track", "aria-hidden": "true" }, fills[k]), counts[k])]));
  body.append(list);
  return {
    root,
    paint(view) {
      if (!view.hist) return;
      const most = Math.log1p(Math.max(...view.hist, 1));
      view.hist.forEach((n, k) => {
        const width = `${n ? Math.max((100 * Math.log1p(n)) / most, 1.5).toFixed(1) : 0}%`;
        if (fills[k].style.width !== width) fills[k].style.width = width;
        put(counts[k], whole(n));
      });
    },
  };
}

function nearPanel(app) {
  const { root, body, side, note } = panel("Closest to liquidation", "s8");
  const select = h("select", { class: "small", "aria-label": "Rank by", onchange: () => { app.query({ rank: select.value === "ratio" ? "" : select.value }); app.view && paint(app.view); } },
    Object.entries(RANKS).map(([key, [words]]) => h("option", { value: key }, words)));
  const given = new URLSearchParams(location.search).get("rank");
  select.value = RANKS[given] ? given : "ratio";
  side.append(select);
  const rows = new Rows([
    { head: "account", class: "l", cell: (row) => row.key },
    { head: "status", class: "l", cell: (row) => status(STATUSES[row.level]) },
    { head: "equity", class: "wide", cell: (row) => micro(row.equity) },
    { head: "maintenance", class: "wide", cell: (row) => micro(row.maintenance) },
    { head: "health", cell: (row) => ({ text: micro(row.equity - row.maintenance), class: row.equity < row.maintenance ? "bad" : "" }) },
    { head: "health ÷ MM", cell: (row) => ratio(row.equity, row.maintenance) },
  ], { caption: "The fifty accounts closest to liquidation; Enter opens one", empty: "no account", onopen: (row, from) => app.open(row.key, from) });
  body.append(scroll("Closest to liquidation", rows.table, true));
  const paint = (view) => {
    put(note, RANKS[select.value][1]);
    rows.set(view.order[select.value].map((key) => {
      const [level, equity, , maintenance] = view.rows[key];
      return { key, level, equity, maintenance };
    }));
  };
  return { root, paint };
}

function logPanel(app) {
  const { root, body, note } = panel("Decisions", "s4", { note: "newest first" });
  const rows = new Rows([
    { head: "account", class: "l", cell: (row) => row.account },
    { head: "time", class: "l wide", cell: (row) => clock(row.at) },
    { head: "decision", class: "l", cell: (row) => ({ ...status(row.kind), title: row.cause }) },
    { head: "health", cell: (row) => micro(row.equity - row.maintenance) },
  ], { caption: "Changes of status, newest first", empty: "none yet", onopen: (row, from) => app.open(row.account, from) });
  body.append(scroll("Decisions", rows.table, true));
  return {
    root,
    paint(view) {
      rows.set(view.log.slice().reverse().map(([n, at, account, kind, , equity, maintenance, cause]) => ({ key: n, at, account, kind, equity, maintenance, cause })));
      put(note, view.log.length ? `newest first · ${whole(view.log[view.log.length - 1][0])} so far` : "newest first");
    },
  };
}

function stressPanel(app) {
  const { root, body, side, note } = panel("Stress: spot × volatility", "s7");
  side.append(h("a", { class: "button small", href: "/stress", onclick: (event) => { event.preventDefault(); app.go("/stress"); } }, "All measures"));
  const box = h("div", {});
  body.append(box);
  let last = null;
  return {
    root,
    paint(view) {
      const theme = document.documentElement.dataset.theme;
      const key = view.stress ? `${view.stress.at_ms} ${theme}` : "none";
      if (view.stress) put(note, `liquidatable accounts if all prices and vols moved now · ${age(Math.max(view.head.at_ms - view.stress.at_ms, 0))} old`);
      if (key === last) return;
      last = key;
      fill(box, view.stress ? scroll("Stress grid", heat(view.stress, "liquidatable")) : h("p", { class: "empty" }, "not computed yet"));
    },
  };
}

function moneyPanel() {
  const { root, body, side } = panel("Equity and maintenance margin", "s5");
  const chart = new Chart({ label: "Total equity and total maintenance margin over time", series: [
    { name: "equity", colour: "accent", dash: [], width: 2 },
    { name: "maintenance margin", colour: "warn", dash: [7, 4], width: 2 },
  ] });
  body.append(chart.root);
  let seen = null;
  const chosen = { of: "series", last: null, again: () => seen && paint(seen) };
  const draw_ = history(chart, chosen, (points) => [points.map((point) => point[6]), points.map((point) => point[7])]);
  const paint = (view) => { seen = view; draw_(view); };
  spans(side, chosen);
  side.append(chart.toggle);
  return { root, paint };
}
