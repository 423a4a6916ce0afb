// Liquidations: who is being closed and how far, the auctions, who bears what, who would be closed next, and what happens.

import { auctionsPanel } from "../closing/auctions.js";
import { ranksPanel } from "../closing/ranks.js";
import { fundsPanel, waterfallPanel } from "../closing/waterfall.js";
import { STAGES, amount, lasting, stage } from "../closing/words.js";
import { Rows, attr, fill, h, panel, put, scroll } from "../dom.js";
import { age, brief, clock, whole } from "../format.js";

const OLD_MS = 8000; // a source asks every five seconds while nobody looks
const ORDER = Object.keys(STAGES);
const LEVELS = ["auctions open", "requirement in them", "tranches", "providers may lose", "global fund may pay", "bad debt", "breaker"];
const BREAKER = ["0 · all allowed", "1 · no new auctions", "2 · no restarts", "3 · no bids"];

export function open(app, main) {
  const old = h("span", { class: "note" }, "");
  const body = h("div", {});
  fill(main, h("div", { class: "filters title" }, h("h1", {}, "Liquidations"), old), body);
  let parts = null; // made when there is something to show
  let why = null;

  function close() {
    if (parts) parts.forEach((part) => part.close && part.close());
    parts = null;
  }

  function make() {
    const steps = stagesStrip();
    const levels = levelsStrip();
    const [auctions, waterfall, closings, feed, ranks, funds] = [auctionsPanel(app), waterfallPanel(app), closingsPanel(app), feedPanel(app), ranksPanel(app), fundsPanel()];
    parts = [steps, levels, auctions, waterfall, closings, feed, ranks, funds];
    fill(body, steps.root, levels.root, h("div", { class: "grid" }, parts.slice(2).map((part) => part.root)));
  }

  return {
    paint(view) {
      const closing = view.closing;
      if (!closing) return;
      if (closing.why) {
        if (why !== closing.why) fill(body, h("p", { class: "panel empty" }, closing.why));
        why = closing.why;
        close();
        put(old, "");
        return;
      }
      why = null;
      if (!parts) make();
      parts.forEach((part) => part.paint && part.paint(view));
      const late = view.head.closing_ms > OLD_MS;
      put(old, view.head.closing_ms < 0 ? "not heard yet" : late ? `figures of ${age(view.head.closing_ms)} ago` : "");
      attr(old, "class", late ? "st st-stale" : "note");
    },
    close,
  };
}

function stagesStrip() {
  const made = Object.entries(STAGES).map(([name, [word, what]]) => ({ name, count: h("span", {}, "0"), word, what }));
  const total = h("span", {}, "0");
  const note = h("span", { class: "sub" }, " ");
  const box = h("div", { class: "kpi" }, h("dt", {}, "being closed"), h("dd", {}, total, note));
  const root = h("dl", { class: "kpis steps", "aria-label": "Accounts being closed, by stage" }, box, made.map((one) => (one.box = h("div", { class: "kpi", title: one.what }, h("dt", { class: stage(one.name).class }, one.word), h("dd", {}, one.count, h("span", { class: "sub" }, one.what))))));
  return {
    root,
    paint(view) {
      const { stages, total: sum, listed, waiting } = view.closing;
      put(total, whole(sum));
      put(note, waiting ? `${whole(waiting)} more wait for a look` : sum > listed ? `${whole(listed)} of them listed below` : "accounts");
      attr(box, "data-state", sum ? "warn" : null);
      for (const one of made) {
        put(one.count, whole(stages[one.name]));
        attr(one.box, "data-none", stages[one.name] ? null : "");
      }
    },
  };
}

function levelsStrip() {
  const kpis = LEVELS.map((name) => ({ name, value: h("span", {}, "–"), sub: h("span", { class: "sub" }, " ") }));
  const root = h("dl", { class: "kpis seven" }, kpis.map((kpi) => (kpi.box = h("div", { class: "kpi" }, h("dt", {}, kpi.name), h("dd", {}, kpi.value, kpi.sub)))));
  return {
    root,
    paint(view) {
      levels(view.closing).forEach(([value, sub, state, title], k) => {
        put(kpis[k].value, value);
        put(kpis[k].sub, sub);
        attr(kpis[k].box, "data-state", state || null);
        attr(kpis[k].sub, "title", title || null);
      });
    },
  };
}

const sum = (list, of) => list.reduce((all, one) => all + Number(of(one)), 0);

/** What stands behind the accounts: [figure, words, state] each. */
function levels(closing) {
  const [open_, solvent, insolvent, due] = closing.auctions;
  const { vaults, fund, claims, breaker } = closing;
  const left = sum(closing.tranches, ([, balance]) => balance);
  const least = closing.tranches.reduce((found, one) => (found === null || Number(one[1]) < Number(found[1]) ? one : found), null);
  const stopped = vaults.filter((one) => one.stopped).length;
  const owed = claims ? Number(claims.owed) : 0;
  const auctions = `${whole(solvent)} solvent, ${whole(insolvent)} insolvent`;
  return [
    [whole(open_), due ? `${whole(due)} at their floor` : auctions, due ? "warn" : "", auctions],
    [brief(Number(closing.requirement)), closing.asset],
    [brief(left), least ? `least ${least[0]} ${brief(Number(least[1]))}` : "none", least && Number(least[1]) <= 0 ? "warn" : ""],
    [brief(sum(vaults, (one) => one.capacity)), stopped ? `${whole(stopped)} at the loss stop` : `of ${brief(sum(vaults, (one) => one.total))}`, stopped ? "bad" : ""],
    fund ? [brief(Number(fund.available)), `of ${brief(Number(fund.balance))}, by ${fund.limited_by}`, Number(fund.available) <= 0 ? "bad" : ""] : ["–", "none"],
    [brief(owed), owed ? `owed to ${whole(claims.creditors)}` : "no claims", owed ? "bad" : ""],
    breaker === null || breaker === undefined ? ["–", "not told"] : [`level ${breaker}`, closing.stale.length ? `${closing.stale.join(", ")}: price stale` : (BREAKER[breaker] || "").slice(4), breaker || closing.stale.length ? "warn" : ""],
  ];
}

function closingsPanel(app) {
  const { root, body, note } = panel("Accounts being closed", "s7");
  const rows = new Rows([
    { head: "account", class: "l", cell: (row) => row.key },
    { head: "stage", class: "l", cell: (row) => ({ ...stage(row.stage), title: (STAGES[row.stage] || [])[1] }) },
    { head: "since", class: "wide", cell: (row) => ({ text: lasting(row.since), title: clock(row.breached) }) },
    { head: "market", class: "l wide", cell: (row) => row.market },
    { head: "equity", cell: (row) => ({ text: amount(row.equity), class: Number(row.equity) < 0 ? "bad" : "" }) },
    { head: "maintenance", cell: (row) => amount(row.maintenance) },
    { head: "orders in the market", class: "l wide", cell: (row) => orders(row) },
  ], { caption: "Accounts being closed", empty: "nobody is being closed", onopen: (row, from) => app.open(row.key, from) });
  body.append(scroll("Accounts being closed", rows.table, true));
  return {
    root,
    paint(view) {
      const listed = Object.entries(view.closings).map(([key, [name, , breached, equity, maintenance, market, , auction, list]]) => ({ key, stage: name, breached, since: (view.closing.at_ms - breached) / 1000, equity, maintenance, market, auction, orders: list }));
      listed.sort((a, b) => ORDER.indexOf(b.stage) - ORDER.indexOf(a.stage) || a.breached - b.breached || (a.key < b.key ? -1 : 1));
      rows.set(listed);
      put(note, view.closing.total > view.closing.listed ? `${whole(view.closing.listed)} of ${whole(view.closing.total)}` : "the furthest stage first");
    },
  };
}

function orders(row) {
  if (!row.orders.length) return row.auction ? `auction ${row.auction}` : "none";
  const words = row.orders.map(([instrument, quantity, limit, lane]) => `${quantity} ${instrument} ${limit === null ? "at any price" : `within ${limit}`} (${lane})`);
  return { text: words.length > 1 ? `${words.length}: ${words[0]} …` : words[0], title: words.join("; ") };
}

const SHAPES = { staged: "staged", started: "auction", sold: "auction", bid: "auction", restarted: "auction", ended: "auction", "backstop-due": "auction", settled: "money", deleverage: "cut", deleveraged: "cut", residual: "cut", rested: "rested" };

function feedPanel(app) {
  const { root, body, note } = panel("What happens", "s5");
  const rows = new Rows([
    { head: "account", class: "l", cell: (row) => row.account || "–" },
    { head: "time", class: "l wide", cell: (row) => clock(row.at) },
    { head: "event", class: "l", cell: (row) => ({ text: row.what.replaceAll("-", " "), class: `st ev-${SHAPES[row.what] || "other"}` }) },
    { head: "figures", class: "l wrap", cell: (row) => row.words },
  ], { caption: "Events of closings, newest first", empty: "nothing yet", onopen: (row, from) => row.account && app.open(row.account, from) });
  body.append(scroll("What happens", rows.table, true));
  return {
    root,
    paint(view) {
      rows.set(view.news.slice().reverse().map(([n, at, what, account, words]) => ({ key: n, at, what, account, words })));
      put(note, view.news.length ? `newest first · ${whole(view.news[view.news.length - 1][0])} heard` : "");
    },
  };
}
