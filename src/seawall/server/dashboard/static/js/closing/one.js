// The closing of one account, on its own page: stage, orders in the market, and its auction with the price over time.

import { Chart } from "../charts.js";
import { attr, fill, h, panel, put } from "../dom.js";
import { clock, money, whole } from "../format.js";
import { best } from "./auctions.js";
import { STAGES, auction, lasting, solvency, stage, told, waits } from "./words.js";

const FIELDS = ["stage", "since", "of the market", "orders in the market"];
const SALE = ["state", "price now", "worth", "floor", "best bid now", "requirement", "bids"];

export function closingPanel(name) {
  const { root, body } = panel("Being closed", "s12");
  root.hidden = true;
  const words = FIELDS.map(() => h("dd", {}, "–"));
  const sale = SALE.map(() => h("dd", {}, "–"));
  const facts = (fields, cells) => fields.map((field, k) => [h("dt", {}, field), cells[k]]);
  const sold = h("dl", { class: "facts", hidden: true }, facts(SALE, sale));
  const drawing = h("div", {});
  body.append(h("div", { class: "cols" }, h("div", {}, h("dl", { class: "facts" }, facts(FIELDS, words)), h("h3", { hidden: true }, "Its auction"), sold), drawing));
  const heading = sold.previousElementSibling;
  let chart = null;
  let drawn = "";
  let now = 0;

  function draw(one, shape) {
    const [seconds, heights] = shape;
    const unit = one.unit;
    now = one.elapsed;
    if (!chart) {
      chart = new Chart({
        label: `Price of the auction of ${name} over time`, time: false, x: "seconds since its start", height: 200,
        series: [{ name: "price of all", colour: "accent", dash: [], width: 2 }, { name: "worth", colour: "mute", dash: [5, 3] }],
        marks: (u, token) => mark(u, token, now),
      });
      chart.xWords = lasting;
      fill(drawing, chart.root, chart.toggle);
    }
    attr(chart.box, "aria-label", `Price of the auction of ${name}: ${told(one, shape)}`);
    const key = `${unit} ${one.value} ${heights.join()} ${now}`;
    if (key === drawn) return;
    drawn = key;
    chart.set([seconds, heights.map((v) => v * unit), heights.map(() => one.value)]);
  }

  return {
    root,
    paint(view) {
      const row = view.closings && view.closings[name];
      root.hidden = !row;
      if (!row) return;
      const [step, episode, breached, , , market, bucket, number, orders] = row;
      const found = stage(step);
      put(words[0], `${found.text}: ${(STAGES[step] || [])[1] || ""}${episode > 1 ? `, episode ${episode}` : ""}`);
      attr(words[0], "class", found.class);
      put(words[1], `${clock(breached)} UTC, ${lasting((view.closing.at_ms - breached) / 1000)} ago`);
      put(words[2], `${market}, bucket ${bucket}`);
      put(words[3], orders.length ? orders.map(([instrument, quantity, limit, lane]) => `${quantity} ${instrument} ${limit === null ? "at any price" : `within ${limit}`} (${lane})`).join("; ") : "none");
      const found_ = view.auctions[number];
      sold.hidden = heading.hidden = drawing.hidden = !found_;
      if (!found_) return;
      const one = auction(number, found_);
      const state = solvency(one);
      const texts = [`${state.text}${waits(one) ? `, ${waits(one)}` : ""}`, money(one.price), money(one.value), floor(one, view.curves[number]), best(one).text, money(one.requirement), whole(one.bids)];
      texts.forEach((text, k) => put(sale[k], text));
      attr(sale[0], "class", state.class);
      if (view.curves[number]) draw(one, view.curves[number]);
    },
  };
}

const floor = (one, shape) => (shape ? money(shape[1][shape[1].length - 1] * one.unit) : "–");

/** A line where the auction is now. */
function mark(u, token, now) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio || 1;
  const x = Math.min(u.valToPos(now, "x", true), left + width);
  ctx.save();
  ctx.strokeStyle = token("text");
  ctx.lineWidth = 1.5 * ratio;
  ctx.setLineDash([ratio, 2 * ratio]);
  ctx.beginPath();
  ctx.moveTo(x, top);
  ctx.lineTo(x, top + height);
  ctx.stroke();
  ctx.font = `${11 * ratio}px Inter, sans-serif`;
  ctx.fillStyle = token("text");
  ctx.textAlign = "left";
  ctx.fillText("now", Math.min(x + 4 * ratio, left + width - 26 * ratio), top + 12 * ratio);
  ctx.restore();
}
