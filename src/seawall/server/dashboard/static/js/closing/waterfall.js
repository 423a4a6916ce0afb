// The waterfall as it is used: layer after layer, what each has borne and what is left in it, and the last shortfalls.

import { Rows, attr, fill, h, panel, put, scroll } from "../dom.js";
import { brief, clock, whole } from "../format.js";
import { LAYERS, amount } from "./words.js";

const WHAT = {
  account: "the account's own money", proceeds: "what its positions brought", tranche: "the market's own insurance", backstop: "committed by providers",
  fund: "of all markets, capped", deleveraging: "profits of the other side", deferred: "owed from future income",
};
const PAID = ["tranche", "backstop", "fund", "deleveraging"];

export function waterfallPanel(app) {
  const { root, body, note } = panel("The waterfall", "s12", { note: "who bears what a closed account cannot, in this order" });
  const layers = Object.entries(LAYERS).map(([name, words]) => layer(name, words));
  const rows = new Rows([
    { head: "account", class: "l", cell: (row) => row.account },
    { head: "time", class: "l", cell: (row) => clock(row.at_ms) },
    { head: "market", class: "l wide", cell: (row) => row.market },
    { head: "shortfall", cell: (row) => amount(row.need) },
    ...PAID.map((name) => ({ head: LAYERS[name], class: "wide", cell: (row) => (Number(row.paid[name] || 0) ? amount(row.paid[name]) : "–") })),
    { head: "left to claims", cell: (row) => ({ text: Number(row.residual) ? amount(row.residual) : "–", class: Number(row.residual) ? "bad" : "" }) },
  ], { caption: "The last shortfalls and which layer paid them", empty: "no account has left a shortfall so far", onopen: (row, from) => app.open(row.account, from) });
  body.append(h("ol", { class: "flow", "aria-label": "Layers of the waterfall, in their order" }, layers.map((one) => one.root)), h("h3", {}, "Last shortfalls"), scroll("Last shortfalls", rows.table));
  return {
    root,
    paint(view) {
      const closing = view.closing;
      const total = Object.values(closing.totals).reduce((sum, text) => sum + Number(text || 0), 0);
      layers.forEach((one) => one.paint(closing, total));
      rows.set(closing.settled.map((row) => ({ ...row, key: `${row.sequence} ${row.account} ${row.need}` })));
      put(note, total ? `${brief(total)} ${closing.asset} borne since the start` : "nothing has had to be borne since the start");
    },
  };
}

function layer(name, words) {
  const borne = h("span", { class: "big" }, "–");
  const bar = h("div", { class: "fill plain" });
  const left = h("p", { class: "left" }, "");
  const what = h("p", { class: "note" }, "borne");
  const state = h("span", { class: "st" }, "");
  const root = h("li", { title: WHAT[name] }, h("p", { class: "name" }, words), borne, what, h("div", { class: "track", "aria-hidden": "true" }, bar), left, state);
  return {
    root,
    paint(closing, total) {
      const paid = closing.totals[name];
      const sum = Number(paid || 0);
      put(borne, paid === null || paid === undefined ? "–" : brief(sum));
      attr(borne, "title", paid);
      put(what, paid === null || paid === undefined ? "not summed up" : "borne");
      const width = `${total > 0 ? Math.max((100 * sum) / total, sum ? 2 : 0).toFixed(1) : 0}%`;
      if (bar.style.width !== width) bar.style.width = width;
      const [text, kind, word] = rest(name, closing, sum);
      put(left, text);
      put(state, word);
      attr(state, "class", word ? `st ly-${kind}` : "unseen");
    },
  };
}

const add = (list, name) => list.reduce((sum, one) => sum + Number(one[name]), 0);

/** What is left in a layer, and its state as shape and word. */
function rest(name, closing, borne) {
  const used = borne > 0 ? ["used", "used"] : ["idle", "untouched"];
  if (name === "tranche") {
    const left = closing.tranches.reduce((sum, [, balance]) => sum + Number(balance), 0);
    const empty = closing.tranches.filter(([, balance]) => Number(balance) <= 0).length;
    return [`${brief(left)} left in ${whole(closing.tranches.length)}`, ...(empty && borne ? ["stopped", `${empty} empty`] : used)];
  }
  if (name === "backstop") {
    const stopped = closing.vaults.filter((one) => one.stopped).length;
    return [`${brief(add(closing.vaults, "capacity"))} of ${brief(add(closing.vaults, "total"))} may be lost`, ...(stopped ? ["stopped", `${stopped} stopped`] : used)];
  }
  if (name === "fund") {
    if (!closing.fund) return ["", "idle", ""];
    const capped = closing.fund.limited_by !== "balance" && Number(closing.fund.available) <= 0;
    return [`${brief(Number(closing.fund.available))} of ${brief(Number(closing.fund.balance))} may be paid (${closing.fund.limited_by})`, ...(capped ? ["stopped", "at its cap"] : used)];
  }
  if (name === "deferred") {
    const owed = closing.claims ? Number(closing.claims.owed) : 0;
    return [owed ? `${brief(owed)} owed to ${whole(closing.claims.creditors)}` : "nothing owed", ...(owed ? ["stopped", "bad debt"] : ["idle", "none"])];
  }
  return ["", ...(borne > 0 ? used : ["idle", ""])];
}

/** Tranches, vaults and fund one by one. */
export function fundsPanel() {
  const { root, body } = panel("Funds and providers", "s6");
  const tranches = new Rows([
    { head: "tranche of", class: "l", cell: (row) => row.key },
    { head: "left", cell: (row) => ({ text: amount(row.balance), class: Number(row.balance) > 0 ? "" : "bad" }) },
  ], { caption: "Each market's tranche", empty: "no market has a tranche" });
  const vaults = h("div", { class: "vaults" });
  body.append(h("div", { class: "whole" }, scroll("Tranches", tranches.table)), h("h3", {}, "Providers, by bucket"), vaults);
  let last = "";
  return {
    root,
    paint(view) {
      tranches.set(view.closing.tranches.map(([key, balance]) => ({ key, balance })));
      const key = JSON.stringify(view.closing.vaults);
      if (key === last) return;
      last = key;
      fill(vaults, view.closing.vaults.length ? view.closing.vaults.map(vault) : h("p", { class: "note" }, "nobody stands behind a bucket"));
    },
  };
}

function vault(one) {
  const facts = [
    ["committed", `${amount(one.total)} by ${whole(one.providers)}`],
    ["may lose now", h("span", { class: one.stopped ? "st ly-stopped" : "st ly-idle" }, one.stopped ? "nothing: its loss stop holds" : amount(one.capacity))],
    ["exits asked", one.exits.length ? one.exits.map(([at, sum]) => `${amount(sum)} at ${clock(at)}`).join(", ") : "none"],
    ["holds", one.inventory.length ? one.inventory.map((held) => `${held.quantity} ${held.instrument} with ${amount(held.margin)} margin`).join(", ") : "no positions"],
  ];
  return h("div", {}, h("p", { class: "name" }, one.bucket), h("dl", { class: "facts" }, facts.map(([term, words]) => [h("dt", {}, term), h("dd", {}, words)])));
}
