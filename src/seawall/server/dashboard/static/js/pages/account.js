// One account: live figures, positions, the margin curve with its liquidation set and safe corridor, the margin explained
// leg by leg, and its decisions.

import { Chart } from "../charts.js";
import { closingPanel } from "../closing/one.js";
import { ask, attr, fill, h, panel, problem, put, scroll } from "../dom.js";
import { STATUSES, WORDS, age, clock, micro, money, number, percent, ratio, signed, stamp, status } from "../format.js";

const EVERY_MS = 3000;
const FIELDS = ["equity", "initial margin", "maintenance margin", "health", "free collateral", "health ÷ MM"];
const SPANS = [[100000, "±10 %"], [300000, "±30 %"], [500000, "±50 %"], [900000, "±90 %"]];

export function open(app, main) {
  const name = decodeURIComponent(location.pathname.slice("/account/".length));
  const given = new URLSearchParams(location.search);
  const state = { underlying: given.get("underlying") || "", span: Number(given.get("span")) || 300000, timer: null, stop: new AbortController(), detail: null };
  const kpis = FIELDS.map(() => h("dd", {}, "–"));
  const word = h("span", { class: "st" }, "");
  const old = h("span", { class: "note" }, "");
  const link = h("a", { class: "button", href: `/what-if?account=${encodeURIComponent(name)}`, onclick: (event) => { event.preventDefault(); app.go(event.currentTarget.getAttribute("href")); } }, "What if …");
  const fault = h("div", {});
  const closing = closingPanel(name);
  const positions = panel("Positions", "s7");
  const curve = curvePanel(app, name, state);
  const explained = panel("Margin explained, leg by leg", "s7");
  const scenarios = panel("Worst scenarios", "s5", { note: "loss before factors" });
  const saves = panel("What each position costs or saves", "s5", { note: "initial margin with it less without it" });
  const corridor = panel("Certified corridor", "s7", { note: "while every price stays inside, the status provably stays" });
  const history = panel("Decisions about this account", "s12");
  fill(main,
    h("div", { class: "filters title" }, h("h1", {}, name), word, old, h("span", { class: "end" }, link)),
    fault,
    h("dl", { class: "kpis" }, FIELDS.map((field, k) => h("div", { class: "kpi" }, h("dt", {}, field), kpis[k]))),
    h("div", { class: "grid above" }, closing.root),
    h("div", { class: "cols" },
      h("div", { class: "stack" }, positions.root, explained.root, corridor.root, history.root),
      h("div", { class: "stack" }, curve.root, scenarios.root, saves.root)));
  app.live.watch(name);

  function figures(level, equity, initial, maintenance) {
    const texts = [micro(equity), micro(initial), micro(maintenance), micro(equity - maintenance), micro(equity - initial), ratio(equity, maintenance)];
    texts.forEach((text, k) => put(kpis[k], text));
    const found = status(STATUSES[level]);
    put(word, found.text);
    attr(word, "class", found.class);
  }

  async function load() {
    clearTimeout(state.timer);
    try {
      const detail = (state.detail = await ask(`/api/account/${encodeURIComponent(name)}`, null, state.stop.signal));
      if (!app.live.aside) figures(STATUSES.indexOf(detail.status), ...["equity", "initial", "maintenance"].map((key) => Number(detail[key]) * 1e6));
      put(old, `details of ${stamp(detail.at_ms)}${detail.orders.length ? ` · ${detail.orders.length} open orders are in the initial margin above` : ""}`);
      showPositions(positions.body, detail);
      showExplained(explained.body, detail.explain);
      showScenarios(scenarios.body, detail.explain);
      showSaves(saves.body, detail.explain);
      showCorridor(corridor.body, detail.corridor);
      showHistory(history.body, detail.history);
      fill(fault);
      curve.offer(detail);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(fault, problem(error.message));
    }
    state.timer = setTimeout(again, EVERY_MS);
  }

  function again() {
    if (app.paused || app.live.state === "down") state.timer = setTimeout(again, EVERY_MS);
    else load();
  }

  load();
  return {
    paint(view) {
      closing.paint(view);
      const aside = app.live.aside;
      if (aside && aside.account === name) figures(...aside.row);
    },
    close() {
      clearTimeout(state.timer);
      state.stop.abort();
      app.live.watch(null);
    },
  };
}

/** Keeps a table's focus and scroll: only its rows are made anew. */
function table(body, label, heads, lines, empty) {
  let kept = body.querySelector("tbody");
  if (!kept) {
    kept = h("tbody");
    fill(body, scroll(label, h("table", {}, h("caption", { class: "unseen" }, label), h("thead", {}, h("tr", {}, heads.map(([text, cls]) => h("th", { scope: "col", class: cls || null }, text)))), kept)));
  }
  fill(kept, lines.length ? lines.map((cells) => h("tr", {}, cells.map((cell, k) => (cell instanceof Node ? cell : h("td", { class: heads[k][1] || null }, cell))))) : h("tr", {}, h("td", { class: "empty", colspan: String(heads.length) }, empty)));
}

const amount = (text) => money(Number(text));

function showPositions(body, detail) {
  const lines = detail.positions.map((one) => [one.leg, one.quantity, number(Number(one.mark)), amount(one.value), amount(one.maintenance), number(one.delta), one.vega ? number(one.vega) : "–", one.theta ? number(one.theta) : "–"]);
  lines.push(["cash, less what was paid", "", "", amount(detail.explain.cash), "", "", "", ""]);
  table(body, "Positions", [["position", "l"], ["quantity"], ["mark", "wide"], ["value"], ["maintenance"], ["delta", "wide"], ["vega, a point", "wide"], ["theta, a day", "wide"]], lines, "none");
}

function showExplained(body, explain) {
  const names = [...new Set(explain.legs.flatMap((leg) => Object.keys(leg.maintenance_parts)))];
  const heads = [["leg", "l"], ["equity", "wide"], ...names.map((name) => [name, "wide"]), ["maintenance"], ["initial"]];
  const lines = explain.legs.map((leg) => [leg.leg, amount(leg.equity), ...names.map((name) => (leg.maintenance_parts[name] ? amount(leg.maintenance_parts[name]) : "–")), amount(leg.maintenance_margin), amount(leg.initial_margin)]);
  lines.push(["sum, with cash", amount(explain.equity), ...names.map((name) => amount(explain.legs.reduce((sum, leg) => sum + Number(leg.maintenance_parts[name] || 0), 0))), amount(explain.maintenance_margin), amount(explain.initial_margin)]);
  table(body, "Margin by leg and component", heads, lines, "nothing needs margin");
}

function showScenarios(body, explain) {
  const words = explain.worst_scenario ? `It is the worst for this account when: ${explain.worst_scenario}.` : "The model has no scenarios.";
  const said = body.querySelector("p") || h("p", {});
  put(said, explain.decided_by ? `${words} Decided by: ${explain.decided_by}.` : words);
  const box = body.querySelector(".it") || h("div", { class: "it" });
  if (!said.isConnected) fill(body, said, box);
  table(box, "Worst scenarios", [["scenario", "l wrap"], ["loss"]], explain.scenarios.map((one) => [h("td", { class: "l wrap" }, one.underlying ? `${one.underlying}: ${one.scenario}` : one.scenario), amount(one.loss)]), "none");
}

function showSaves(body, explain) {
  table(body, "What each position costs or saves", [["position", "l"], ["initial margin"], ["effect", "l"]], explain.positions.map((one) => {
    const saving = Number(one.initial_saving);
    return [one.position, money(-saving), saving > 0 ? "hedges: without it more would be needed" : saving < 0 ? "costs" : "neither"];
  }), "no positions");
}

function showCorridor(body, corridor) {
  const said = body.querySelector("p") || h("p", { class: "note" });
  const box = body.querySelector(".it") || h("div", { class: "it" });
  if (!said.isConnected) fill(body, said, box);
  if (!corridor || corridor.none) {
    put(said, corridor ? corridor.none : "not published by this source");
    fill(box);
    return;
  }
  put(said, `Status stays ${WORDS[corridor.status]} until ${stamp(corridor.until_ns / 1e6)} while all of these hold.`);
  table(box, "Safe corridor", [["underlying", "l"], ["from"], ["now", "wide"], ["to"], ["vols", "wide"], ["bases", "wide"]], corridor.corridors.map((one) => [
    one.underlying,
    h("td", {}, `${number(one.low_nano / 1e9)} (${signed(one.low_nano / one.price_nano - 1)})`),
    number(one.price_nano / 1e9),
    h("td", {}, one.high_nano > 1e16 ? "any" : `${number(one.high_nano / 1e9)} (${signed(one.high_nano / one.price_nano - 1)})`),
    one.vol_ppm === null ? "any" : `±${percent(one.vol_ppm / 1e6)}`,
    one.basis_ppm === null ? "any" : `±${percent(one.basis_ppm / 1e6, 2)}`,
  ]), "no prices matter to it");
}

function showHistory(body, history) {
  table(body, "Decisions", [["time", "l"], ["decision", "l"], ["equity", "wide"], ["maintenance", "wide"], ["health"], ["cause", "l wide"]], history.map((d) => [
    stamp(d.at_ms), h("td", { class: `l ${status(d.kind).class}` }, WORDS[d.kind] || d.kind), micro(d.equity), micro(d.maintenance), micro(d.equity - d.maintenance), d.cause,
  ]), "none since the start");
}

function curvePanel(app, name, state) {
  const made = panel("Equity and margin over one price", "s5");
  const choose = h("select", { class: "small", "aria-label": "Underlying", onchange: () => { state.underlying = choose.value; app.query({ underlying: choose.value }); again(true); } });
  const span = h("select", { class: "small", "aria-label": "Range", onchange: () => { state.span = Number(span.value); app.query({ span: span.value }); again(true); } }, SPANS.map(([value, words]) => h("option", { value: String(value) }, words)));
  span.value = String(state.span);
  let curve = null;
  const chart = new Chart({
    label: `Equity, initial and maintenance margin of ${name} over a price`, time: false, x: "price", height: 260,
    series: [
      { name: "equity", colour: "accent", dash: [], width: 2 },
      { name: "maintenance", colour: "liq", dash: [7, 4] },
      { name: "initial", colour: "warn", dash: [2, 3] },
    ],
    marks: (u, token) => curve && marks(u, token, curve),
  });
  const words = h("p", {});
  made.side.append(choose, span, chart.toggle);
  made.body.append(chart.root, words);

  async function again(asked = false) {
    if (!state.underlying) return;
    try {
      curve = await ask(`/api/account/${encodeURIComponent(name)}/curves?underlying=${encodeURIComponent(state.underlying)}&span_ppm=${state.span}`, null, state.stop.signal);
      if (asked) chart.plot && chart.destroy(false);
      chart.set([curve.prices, curve.equity, curve.maintenance, curve.initial]);
      attr(chart.box, "aria-label", `Equity and margin over the price of ${state.underlying}. ${say(curve)}`);
      put(words, say(curve));
    } catch (error) {
      if (error.name !== "AbortError") put(words, error.message);
    }
  }

  return {
    root: made.root,
    offer(detail) {
      if (choose.options.length !== detail.underlyings.length) {
        fill(choose, detail.underlyings.map((one) => h("option", { value: one }, one)));
        if (!detail.underlyings.includes(state.underlying)) state.underlying = detail.underlyings[0] || "";
        choose.value = state.underlying;
      }
      if (!state.underlying) put(words, "No positions: nothing depends on a price.");
      again();
    },
  };
}

/** The curve in words: what a reader who cannot see it needs, and what everybody wants exactly. */
function say(curve) {
  const at = `${curve.underlying} at ${number(Number(curve.present))}. `;
  const falls = curve.liquidation.map((one) => `${one.liquidatable} ${number(Number(one.price))} (${signed(Number(one.price) / Number(curve.present) - 1)})`);
  const range = `between ${number(Number(curve.searched[0]))} and ${number(Number(curve.searched[1]))}`;
  const set = falls.length ? `Liquidatable ${falls.join(", and ")}${curve.complete ? "" : "; other crossings are not ruled out"}. ` : `${curve.complete ? "Proved" : "Searched"}: health does not cross zero ${range}. `;
  const zero = curve.bankrupt.length ? `Equity is zero at ${curve.bankrupt.map((x) => number(Number(x))).join(", ")}. ` : "";
  return at + set + zero;
}

/** Shades where health is below zero, frames the safe corridor, and marks the present price. */
function marks(u, token, curve) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const x = (price) => Math.min(Math.max(u.valToPos(price, "x", true), left), left + width);
  ctx.save();
  ctx.fillStyle = token("liq");
  ctx.globalAlpha = 0.14;
  let from = null; // the beginning of a run of points with health below zero: one rectangle each
  for (let k = 0; k < curve.prices.length; k += 1) {
    const under = curve.equity[k] - curve.maintenance[k] < 0;
    if (under && from === null) from = k;
    if (from !== null && (!under || k === curve.prices.length - 1)) {
      ctx.fillRect(x(curve.prices[from]), top, x(curve.prices[k]) - x(curve.prices[from]), height);
      from = null;
    }
  }
  ctx.globalAlpha = 1;
  const ratio_ = devicePixelRatio || 1;
  ctx.lineWidth = 1.5 * ratio_;
  const shown = (price) => price >= curve.prices[0] && price <= curve.prices[curve.prices.length - 1];
  const line = (price, colour, dash) => {
    if (!shown(price)) return;
    ctx.strokeStyle = token(colour);
    ctx.setLineDash(dash.map((d) => d * ratio_));
    ctx.beginPath();
    ctx.moveTo(x(price), top);
    ctx.lineTo(x(price), top + height);
    ctx.stroke();
  };
  if (curve.corridor) {
    ctx.fillStyle = token("ok");
    ctx.globalAlpha = 0.16;
    const [a, b] = [x(curve.corridor.low_nano / 1e9), x(curve.corridor.high_nano / 1e9)];
    ctx.fillRect(a, top, b - a, height);
    ctx.globalAlpha = 1;
    for (const end of ["low_nano", "high_nano"]) line(curve.corridor[end] / 1e9, "ok", [3, 3]);
  }
  for (const one of curve.liquidation) line(Number(one.price), "liq", []);
  line(Number(curve.present), "text", [1, 2]);
  ctx.font = `${11 * ratio_}px Inter, sans-serif`;
  ctx.fillStyle = token("text");
  ctx.textAlign = "left"; // the axes leave it centred
  ctx.fillText("now", x(Number(curve.present)) + 4 * ratio_, top + 12 * ratio_);
  ctx.restore();
}
