// Parameters: what is in force, and what has been announced and is on its way.

import { ask, fill, h, panel, problem, put, scroll } from "../dom.js";
import { number, stamp } from "../format.js";

const EVERY_MS = 3000;

export function open(app, main) {
  const stop = new AbortController();
  const force = panel("In force", "s7");
  const coming = panel("Announced", "s5");
  const filter = h("input", { type: "search", class: "small", "aria-label": "Part of a parameter's name", placeholder: "part of a name", oninput: () => found && show(found) });
  force.side.append(filter);
  const fault = h("div", {});
  fill(main, h("h1", {}, "Parameters"), fault, h("div", { class: "grid" }, force.root, coming.root));
  let found = null;
  let timer = null;
  let last = "";

  function show(answer) {
    const key = JSON.stringify(answer) + filter.value;
    if (key === last) return;
    last = key;
    put(force.note, `model ${answer.model}`);
    const target = answer.coming ? flat(answer.coming.target) : {};
    const rows = Object.entries(flat(answer.values)).filter(([name]) => name.includes(filter.value.trim()));
    fill(force.body, scroll("Parameters in force", h("table", {}, h("caption", { class: "unseen" }, "Parameters in force"),
      h("thead", {}, h("tr", {}, ["parameter", "value", "reads as", "moving to"].map((word, k) => h("th", { scope: "col", class: k === 0 ? "l" : k === 2 ? "wide" : null }, word)))),
      h("tbody", {}, rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row", class: "l" }, name), h("td", {}, words(value)), h("td", { class: "wide" }, reads(name, value)), h("td", {}, name in target && target[name] !== value ? words(target[name]) : "")))))));
    const next = answer.coming;
    fill(coming.body, next
      ? h("dl", { class: "facts" }, [["began", stamp(next.start_ms)], ["ends", stamp(next.end_ms)], ["stage", `${next.stage} of ${next.stages}`], ["changes", rows.filter(([name, value]) => name in target && target[name] !== value).map(([name]) => name).join(", ") || "none left"]].map(([a, b]) => [h("dt", {}, a), h("dd", {}, b)]))
      : h("p", { class: "empty" }, "Nothing is on its way."));
  }

  async function load() {
    clearTimeout(timer);
    try {
      if (!app.paused || !found) show((found = await ask("/api/parameters", null, stop.signal)));
      fill(fault);
    } catch (error) {
      if (error.name === "AbortError") return;
      fill(fault, problem(error.message));
    }
    timer = setTimeout(load, EVERY_MS);
  }

  load();
  return { paint() {}, close() { clearTimeout(timer); stop.abort(); } };
}

function flat(values, prefix = "") {
  const out = {};
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && typeof value === "object") Object.assign(out, flat(value, `${prefix}${name}.`));
    else out[prefix + name] = value;
  }
  return out;
}

const words = (value) => (typeof value === "number" ? number(value) : String(value));

/** Parts per million as per cent, which is how people say them. */
function reads(name, value) {
  if (typeof value !== "number" || !name.includes("ppm")) return "";
  return `${number(value / 10_000)} %`;
}
