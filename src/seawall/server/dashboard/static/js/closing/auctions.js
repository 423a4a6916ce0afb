// Open auctions: one line each, with its price curve as a small drawing: what was asked, what is asked now, what will be.

import { Rows, attr, panel, put, scroll } from "../dom.js";
import { money, percent, whole } from "../format.js";
import { auction, lasting, solvency, told, waits } from "./words.js";
import { h } from "../dom.js";

const [WIDTH, HEIGHT, EDGE] = [150, 40, 4];
const SVG = "http://www.w3.org/2000/svg";

function svg(tag, props) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) made.setAttribute(name, value);
  return made;
}

/** The drawing: asked so far (thick), asked later (thin), floor (dotted), worth (dashed), now (a disc). */
export class Curve {
  constructor() {
    this.root = svg("svg", { class: "curve undrawn", width: WIDTH, height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    this.parts = {};
    for (const name of ["worth", "floor", "later", "past"]) {
      this.parts[name] = svg("polyline", { class: `c-${name}`, fill: "none" });
      this.root.append(this.parts[name]);
    }
    this.parts.now = svg("circle", { class: "c-now", r: 3.6 });
    this.root.append(this.parts.now);
    this.drawn = "";
  }

  set(one, shape) {
    const [seconds, heights] = shape;
    const length = seconds[seconds.length - 1] || 1;
    attr(this.root, "aria-label", told(one, shape));
    attr(this.root, "class", one.insolvent ? "curve paid" : "curve");
    const end = heights[heights.length - 1];
    const worth = one.unit ? one.value / one.unit : 0;
    const at = Math.min(one.elapsed, length);
    const drawn = `${at} ${worth.toFixed(1)} ${heights.join()}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const low = Math.min(...heights, worth);
    const span = Math.max(...heights, worth) - low || 1;
    const x = (s) => EDGE + (s / length) * (WIDTH - 2 * EDGE);
    const y = (v) => HEIGHT - EDGE - ((v - low) / span) * (HEIGHT - 2 * EDGE);
    const now = height(seconds, heights, at);
    const past = seconds.map((s, k) => [s, heights[k]]).filter(([s]) => s < at).concat([[at, now]]);
    const later = [[at, now]].concat(seconds.map((s, k) => [s, heights[k]]).filter(([s]) => s > at));
    const line = (points) => points.map(([s, v]) => `${x(s).toFixed(1)},${y(v).toFixed(1)}`).join(" ");
    const flat = (v) => line([[0, v], [length, v]]);
    for (const [name, points] of [["worth", flat(worth)], ["floor", flat(end)], ["past", line(past)], ["later", line(later)]]) attr(this.parts[name], "points", points);
    attr(this.parts.now, "cx", x(at).toFixed(1));
    attr(this.parts.now, "cy", y(now).toFixed(1));
  }
}

/** Between two points of a curve, on the straight line. */
function height(seconds, heights, at) {
  let k = 1;
  while (k < seconds.length - 1 && seconds[k] < at) k += 1;
  if (seconds.length < 2) return heights[0] || 0;
  const share = Math.min(Math.max((at - seconds[k - 1]) / (seconds[k] - seconds[k - 1] || 1), 0), 1);
  return heights[k - 1] + share * (heights[k] - heights[k - 1]);
}

/** What a bidder can do at most now: the largest share, and what it costs or earns. */
export function best(one) {
  const part = one.price * one.share;
  if (!one.fresh) return { text: "–", title: "nobody may bid until the account has been looked at again" };
  if (!(one.share > 0)) return { text: "nothing" };
  const all = one.share >= 1 ? "all" : percent(one.share);
  return { text: one.insolvent ? `${all}, paid ${money(-part)}` : `${all} for ${money(part)}`, title: `${all} of what is left of the account` };
}

const LINES = [["c-past", "asked until now"], ["c-later", "asked later"], ["c-worth", "worth"], ["c-floor", "floor"]];

function key() {
  return h("div", { class: "keyline" }, LINES.map(([name, words]) => {
    const line = svg("svg", { width: 22, height: 8, "aria-hidden": "true", class: "curve" });
    line.append(svg("line", { x1: 0, x2: 22, y1: 4, y2: 4, class: name }));
    return h("span", {}, line, words);
  }), (() => {
    const dot = svg("svg", { width: 10, height: 8, "aria-hidden": "true", class: "curve" });
    dot.append(svg("circle", { cx: 5, cy: 4, r: 3.6, class: "c-now" }));
    return h("span", {}, dot, "now");
  })());
}

export function auctionsPanel(app) {
  const { root, body, note, side } = panel("Open auctions", "s12");
  const curves = new Map();
  side.append(key());
  const rows = new Rows([
    { head: "account", class: "l", cell: (one) => one.owner },
    { head: "state", class: "l", cell: (one) => ({ ...solvency(one), title: waits(one) }) },
    { head: "price over time", class: "l", cell: (one) => ({ node: curves.get(one.key).root }) },
    { head: "gone", class: "wide", cell: (one) => lasting(one.elapsed) },
    { head: "price now", cell: (one) => ({ text: money(one.price), title: one.insolvent ? "below zero: the bidder is paid" : "for all that is left of the account" }) },
    { head: "worth", class: "wide", cell: (one) => ({ text: money(one.value), class: one.value < 0 ? "bad" : "" }) },
    { head: "below worth", class: "wide", cell: (one) => (one.value > 0 ? percent(1 - one.price / one.value) : "–") },
    { head: "requirement", class: "wide", cell: (one) => money(one.requirement) },
    { head: "health", class: "wide", cell: (one) => ({ text: money(one.health), class: one.health < 0 ? "bad" : "" }) },
    { head: "best bid now", class: "wide", cell: best },
    { head: "bids", class: "wide", cell: (one) => whole(one.bids) },
    { head: "waits for", class: "l wide", cell: (one) => (one.due ? "providers" : one.fresh ? "bids" : "new figures") },
  ], { caption: "Open auctions, the largest requirement first; Enter opens the account", empty: "no auction is open", onopen: (one, from) => app.open(one.owner, from) });
  body.append(scroll("Open auctions", rows.table, true));
  return {
    root,
    paint(view) {
      const all = Object.entries(view.auctions).map(([number, row]) => auction(number, row));
      all.sort((a, b) => b.requirement - a.requirement || a.number - b.number);
      for (const gone of [...curves.keys()].filter((number) => !(number in view.auctions))) curves.delete(gone);
      for (const one of all) {
        if (!curves.has(one.key)) curves.set(one.key, new Curve());
        if (view.curves[one.key]) curves.get(one.key).set(one, view.curves[one.key]);
      }
      rows.set(all);
      const open = view.closing.auctions[0];
      put(note, open > all.length ? `${whole(all.length)} of ${whole(open)}` : open ? "the largest requirement first" : "");
    },
  };
}
