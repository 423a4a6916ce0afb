// What-if: trades, a deposit and moves that have not happened. The question is in the address, so that it can be shared.

import { ask, fill, h, panel, problem, put, scroll } from "../dom.js";
import { WORDS, money, percent, stamp, status } from "../format.js";

const ROWS = [["equity", "equity"], ["initial", "initial margin"], ["maintenance", "maintenance margin"], ["health", "health"], ["free", "free collateral"]];

export function open(app, main) {
  const given = new URLSearchParams(location.search);
  const stop = new AbortController();
  let known = [];
  const account = h("input", { id: "wi-account", list: "wi-accounts", required: true, value: given.get("account") || "", autocomplete: "off", oninput: () => suggest() });
  const names = h("datalist", { id: "wi-accounts" });
  const symbols = h("datalist", { id: "wi-symbols" });
  const deposit = h("input", { id: "wi-deposit", inputmode: "decimal", value: given.get("deposit") || "", placeholder: "0", size: "10" });
  const vol = h("input", { id: "wi-vol", inputmode: "decimal", value: given.get("vol") || "", placeholder: "0", size: "6" });
  const trades = h("div", { class: "rows" });
  const moves = h("div", { class: "rows" });
  const question = panel("Question", "s5");
  const answer = panel("Answer", "s7");
  put(answer.note, "nothing is sent to the market; nothing changes");
  let count = 0;

  function tradeRow([symbol = "", quantity = "", price = ""] = []) {
    count += 1;
    const row = h("div", {},
      h("label", {}, "instrument", h("input", { class: "t-symbol", list: "wi-symbols", value: symbol, autocomplete: "off", size: "22" })),
      h("label", {}, "quantity, signed", h("input", { class: "t-quantity", inputmode: "text", value: quantity, size: "9" })),
      h("label", {}, "price (empty: mark)", h("input", { class: "t-price", inputmode: "decimal", value: price, size: "10" })),
      h("button", { type: "button", class: "small", "aria-label": `remove trade ${count}`, onclick: () => row.remove() }, "Remove"));
    trades.append(row);
    return row;
  }

  function moveRow([name = "", move = ""] = []) {
    const row = h("div", {},
      h("label", {}, "underlying", h("input", { class: "m-name", list: "wi-underlyings", value: name, size: "10", autocomplete: "off" })),
      h("label", {}, "moves by, %", h("input", { class: "m-move", inputmode: "text", value: move, size: "7" })),
      h("button", { type: "button", class: "small", "aria-label": `remove move of ${name || "an underlying"}`, onclick: () => row.remove() }, "Remove"));
    moves.append(row);
    return row;
  }

  const underlyings = h("datalist", { id: "wi-underlyings" });
  const fault = h("div", {});
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); evaluate(); } },
    h("label", { for: "wi-account" }, "Account", account), names, symbols, underlyings,
    h("h3", {}, "Trades"), trades, h("p", {}, h("button", { type: "button", class: "small", onclick: () => tradeRow().querySelector("input").focus() }, "Add a trade")),
    h("h3", {}, "Cash"), h("label", { for: "wi-deposit" }, "deposit, negative to withdraw", deposit),
    h("h3", {}, "Moves of the market"), moves, h("p", {}, h("button", { type: "button", class: "small", onclick: () => moveRow().querySelector("input").focus() }, "Add a move")),
    h("label", { for: "wi-vol" }, "all volatilities by, %", vol), h("p", {}, " "),
    h("button", { class: "primary", type: "submit" }, "Evaluate"), fault);
  question.body.append(form);
  answer.body.append(h("p", { class: "empty" }, "The account before and after, by the same kernels that decide."));
  fill(main, h("h1", {}, "What if"), h("div", { class: "grid" }, question.root, answer.root));
  for (const text of given.getAll("trade")) {
    const [symbol, rest = ""] = split(text, "=");
    const [quantity, price = ""] = rest.split("@");
    tradeRow([symbol, quantity, price]);
  }
  for (const text of given.getAll("move")) moveRow(split(text, "="));
  if (!given.getAll("trade").length) tradeRow();

  const values = (row, ...classes) => classes.map((cls) => row.querySelector(`.${cls}`).value.trim());

  function asked() {
    const rows = [...trades.children].map((row) => values(row, "t-symbol", "t-quantity", "t-price")).filter(([symbol, quantity]) => symbol || quantity);
    const moved = [...moves.children].map((row) => values(row, "m-name", "m-move")).filter(([name, move]) => name || move);
    return { rows, moved };
  }

  async function evaluate() {
    const { rows, moved } = asked();
    const url = new URLSearchParams({ account: account.value.trim() });
    for (const [symbol, quantity, price] of rows) url.append("trade", `${symbol}=${quantity}${price ? `@${price}` : ""}`);
    for (const [name, move] of moved) url.append("move", `${name}=${move}`);
    if (deposit.value.trim()) url.set("deposit", deposit.value.trim());
    if (vol.value.trim()) url.set("vol", vol.value.trim());
    history.replaceState(null, "", `/what-if?${url}`);
    const body = {
      trades: rows.map((row) => (row[2] ? row : row.slice(0, 2))),
      deposit: deposit.value.trim() || "0",
      moves: Object.fromEntries(moved.map(([name, move]) => [name, share(move)])),
      vol: share(vol.value.trim() || "0"),
    };
    fill(fault);
    try {
      if (Object.values(body.moves).some(Number.isNaN) || Number.isNaN(body.vol)) throw new Error("a move is a number of per cent, like -10");
      show(await ask(`/api/account/${encodeURIComponent(account.value.trim())}/what-if`, body, stop.signal));
    } catch (error) {
      if (error.name !== "AbortError") fill(fault, problem(error.message));
    }
  }

  function show(found) {
    const lines = ROWS.map(([key, words]) => {
      const [before, after] = [Number(found.before[key]), Number(found.after[key])];
      const change = after - before;
      return h("tr", {}, h("th", { scope: "row", class: "l" }, words), h("td", {}, money(before)), h("td", {}, money(after)), h("td", {}, `${change > 0 ? "+" : ""}${money(change)}`));
    });
    const share_ = (row) => (Number(row.maintenance) > 0 && Number(row.equity) > 0 ? percent(Number(row.health) / Number(row.maintenance)) : "–");
    lines.push(h("tr", {}, h("th", { scope: "row", class: "l" }, "health ÷ MM"), h("td", {}, share_(found.before)), h("td", {}, share_(found.after)), h("td", {}, "")));
    lines.push(h("tr", {}, h("th", { scope: "row", class: "l" }, "status"), ["before", "after"].map((k) => h("td", {}, h("span", { class: status(found[k].status).class }, WORDS[found[k].status]))), h("td", {}, "")));
    const head = h("tr", {}, ["", "before", "after", "change"].map((word, k) => h("th", { scope: "col", class: k ? null : "l" }, word || h("span", { class: "unseen" }, "figure"))));
    fill(answer.body, scroll("Answer", h("table", { id: "answer" }, h("caption", { class: "unseen" }, `${found.account} before and after`), h("thead", {}, head), h("tbody", {}, lines))),
      h("p", { class: "note" }, `${found.account} at ${stamp(found.at_ms)}; trades at the mark unless a price is given.${found.orders ? ` Its ${found.orders} open orders are left out on both sides.` : ""}`));
  }

  async function suggest() {
    if (account.value.trim().length < 2) return;
    try {
      const page = await ask(`/api/accounts?limit=12&sort=maintenance&descending=true&search=${encodeURIComponent(account.value.trim())}`, null, stop.signal);
      fill(names, page.rows.map(([name]) => h("option", { value: name })));
    } catch (error) {
      if (error.name !== "AbortError") fill(fault, problem(error.message));
    }
  }

  async function load() {
    try {
      known = await ask("/api/instruments", null, stop.signal);
      fill(symbols, known.map((one) => h("option", { value: one.symbol }, `mark ${one.mark}, lot ${one.lot}`)));
      fill(underlyings, [...new Set(known.map((one) => one.underlying))].filter(Boolean).map((one) => h("option", { value: one })));
      if (given.get("account") && (given.has("trade") || given.has("move") || given.has("deposit") || given.has("vol"))) evaluate();
    } catch (error) {
      if (error.name !== "AbortError") fill(fault, problem(error.message));
    }
  }

  load();
  return { paint() {}, close: () => stop.abort() };
}

const split = (text, sign) => {
  const at = text.lastIndexOf(sign);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
};

/** Per cent as a share, without the noise of a division: -10 is -0.1. */
const share = (text) => Number((Number(text.replace("−", "-").replace("%", "")) / 100).toPrecision(12));
