// Charts: uPlot in our colours, with a label, a key that tells lines apart by dash as well as colour, a readout for the
// keyboard's and the pointer's position, and the same data as a table behind a button.

import { attr, fill, h, put } from "./dom.js";
import { brief, clock } from "./format.js";

const UPlot = window.uPlot;
const alive = new Set();

export const DASHES = { ok: [], margin_call: [7, 4], liquidatable: [2, 3], bankrupt: [9, 3, 2, 3] };

const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Draws all charts anew in the present theme. */
export function retheme() {
  for (const chart of alive) chart.build();
}

/** Forgets the charts of a page that is gone. */
export function forget() {
  for (const chart of alive) chart.destroy();
  alive.clear();
}

/**
 * A chart. series: [{ name, colour (token), dash, width, value(y) }]; time: whether x is seconds since 1970; log: y by asinh,
 * which takes zero; marks(u): draws over it. set([xs, ys…]) renews it. `root` goes into the page.
 */
export class Chart {
  constructor({ label, series, time = true, log = false, height = 190, unit = "", marks = null, x = "time", compact = false }) {
    this.label = label;
    this.series = series;
    this.time = time;
    this.log = log;
    this.height = height;
    this.unit = unit;
    this.marks = marks;
    this.xName = x;
    this.data = null;
    this.plot = null;
    this.box = h("div", { class: "chart", role: "img", "aria-label": label });
    this.box.style.height = `${height}px`;
    this.readout = h("p", { class: "readout" }, "");
    this.keyline = h("div", { class: "keyline" });
    this.table = h("div", { hidden: true });
    this.toggle = h("button", { type: "button", class: "small", "aria-expanded": "false", onclick: () => this.flip() }, "Table");
    this.root = h("div", { class: "charted" }, this.keyline, this.box, compact ? null : this.readout, this.table);
    Object.assign(this.root.style, { display: "flex", flexDirection: "column", flex: "1", minWidth: "0" });
    this.observer = new ResizeObserver(() => this.size());
    this.observer.observe(this.box);
    alive.add(this);
    this.keys();
  }

  keys() {
    if (this.series.length < 2) return;
    fill(
      this.keyline,
      this.series.map((one) => {
        const line = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        const path = document.createElementNS("http://www.w3.org/2000/svg", "line");
        for (const [k, v] of Object.entries({ width: 22, height: 8, "aria-hidden": "true" })) line.setAttribute(k, v);
        for (const [k, v] of Object.entries({ x1: 0, x2: 22, y1: 4, y2: 4, "stroke-width": 2, "stroke-dasharray": (one.dash || []).join(" ") })) path.setAttribute(k, v);
        path.style.stroke = `var(--${one.colour})`;
        line.append(path);
        return h("span", {}, line, one.name);
      }),
    );
  }

  flip() {
    const shown = this.table.hidden;
    this.table.hidden = !shown;
    this.box.hidden = shown;
    attr(this.toggle, "aria-expanded", shown);
    put(this.toggle, shown ? "Chart" : "Table");
    if (shown) this.tabulate();
    else this.size();
  }

  tabulate() {
    if (!this.data) return;
    const [xs, ...ys] = this.data;
    const every = Math.max(1, Math.ceil(xs.length / 40));
    const lines = [];
    for (let k = xs.length - 1; k >= 0; k -= every) {
      lines.push(h("tr", {}, h("td", { class: "l" }, this.xWords(xs[k])), ys.map((column) => h("td", {}, this.yWords(column[k])))));
    }
    const head = h("tr", {}, h("th", { scope: "col", class: "l" }, this.xName), this.series.map((one) => h("th", { scope: "col" }, one.name)));
    const table = h("table", {}, h("caption", { class: "unseen" }, this.label), h("thead", {}, head), h("tbody", {}, lines));
    fill(this.table, h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": `${this.label}, as a table` }, table));
  }

  xWords(x) {
    return this.time ? clock(x * 1000) : brief(x);
  }

  yWords(y) {
    return y === null || y === undefined ? "–" : brief(y) + this.unit;
  }

  set(data) {
    const first = this.data === null;
    this.data = data;
    if (first || this.plot === null) this.build();
    else this.plot.setData(data);
    this.say();
    if (!this.table.hidden) this.tabulate();
  }

  say() {
    const last = this.data[0].length - 1;
    if (last < 0 || (this.plot && this.plot.cursor.idx !== null && this.plot.cursor.idx !== undefined)) return;
    this.tell(this.time ? last : null);
  }

  tell(at) {
    if (at === null || !this.data || this.data[0][at] === undefined) {
      put(this.readout, "");
      return;
    }
    const words = this.series.map((one, k) => `${one.name} ${this.yWords(this.data[k + 1][at])}`);
    put(this.readout, `${this.xWords(this.data[0][at])}  ·  ${words.join("  ·  ")}`);
  }

  build() {
    this.destroy(false);
    if (!this.data || this.box.hidden) return;
    const width = this.box.clientWidth;
    if (!width) return;
    const axis = { stroke: token("mute"), font: "11px Inter, sans-serif", grid: { stroke: token("line"), width: 1 }, ticks: { show: false } };
    const options = {
      width,
      height: this.tall(),
      padding: [8, 24, 0, 0], // room for half of the last label
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: this.time, y: false } },
      scales: { x: { time: this.time }, y: this.log ? { distr: 4, asinh: 1, range: (u, low, high) => [0, Math.max(high * 1.3, 10)] } : {} },
      axes: [
        { ...axis, size: 26, gap: 4, space: 70, values: (u, splits) => splits.map((x) => this.xWords(x)) },
        { ...axis, size: 56, space: 30, splits: this.log ? (u) => decades(u.scales.y.max) : undefined, values: (u, splits) => splits.map((y) => brief(y).replace(/\.0+(?= |$)/, "")) },
      ],
      series: [{}, ...this.series.map((one) => ({ stroke: token(one.colour), dash: one.dash, width: one.width || 1.75, points: { show: false }, spanGaps: false }))],
      hooks: {
        setCursor: [(u) => (u.cursor.idx === null || u.cursor.idx === undefined || u.cursor.left < 0 ? this.say0() : this.tell(u.cursor.idx))],
        draw: this.marks ? [(u) => this.marks(u, token)] : [],
      },
    };
    this.plot = new UPlot(options, this.data, this.box);
  }

  say0() {
    if (this.time && this.data[0].length) this.tell(this.data[0].length - 1);
    else put(this.readout, "");
  }

  tall() {
    return Math.max(this.height, Math.min(this.box.clientHeight, 420));
  }

  size() {
    const width = this.box.clientWidth;
    if (!width || this.box.hidden) return;
    if (this.plot === null) this.build();
    else if (Math.abs(this.plot.width - width) > 1 || Math.abs(this.plot.height - this.tall()) > 1) this.plot.setSize({ width, height: this.tall() });
  }

  destroy(forever = true) {
    if (this.plot) this.plot.destroy();
    this.plot = null;
    if (forever) this.observer.disconnect();
  }
}

/** Lines of an asinh axis: zero and powers of ten only, or minor lines would be drawn over one another. */
function decades(most) {
  const out = [0];
  for (let y = 1; y <= most; y *= 10) out.push(y);
  return out;
}

/** A sparkline as inline SVG; hidden from readers, since its numbers stand beside it. */
export function spark(values, width = 64, height = 16) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [k, v] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" })) svg.setAttribute(k, v);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  path.setAttribute("fill", "none");
  path.setAttribute("stroke-width", "1.4");
  path.style.stroke = "var(--accent)";
  svg.append(path);
  draw(svg, values, width, height);
  return svg;
}

export function draw(svg, values, width = 64, height = 16) {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const step = width / Math.max(values.length - 1, 1);
  const points = values.map((v, k) => `${(k * step).toFixed(1)},${(height - 1.5 - ((v - low) / span) * (height - 3)).toFixed(1)}`);
  svg.firstChild.setAttribute("points", points.join(" "));
}
