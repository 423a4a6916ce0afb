// The page's frame: which page an address means, the state of the stream in words, keys, theme, and the drawer.

import { attr, fill, h, put } from "./dom.js";
import { age, money, stamp, whole } from "./format.js";
import { forget, retheme } from "./charts.js";
import { LATE_MS, Live } from "./live.js";
import * as drawer from "./drawer.js";
import * as overview from "./pages/overview.js";
import * as accounts from "./pages/accounts.js";
import * as account from "./pages/account.js";
import * as liquidations from "./pages/liquidations.js";
import * as whatif from "./pages/whatif.js";
import * as stress from "./pages/stress.js";
import * as prices from "./pages/prices.js";
import * as parameters from "./pages/parameters.js";
import * as audit from "./pages/audit.js";

const PAGES = [
  ["/", "Overview", overview],
  ["/accounts", "Accounts", accounts],
  ["/liquidations", "Liquidations", liquidations],
  ["/what-if", "What-if", whatif],
  ["/stress", "Stress", stress],
  ["/prices", "Prices", prices],
  ["/parameters", "Parameters", parameters],
  ["/audit", "Audit", audit],
];
const byId = (id) => document.getElementById(id);
const main = byId("main");
let page = null; // { paint(view), close?() }
let facts = { title: "", settlement: "", model: "", kind: "" };

const app = {
  get view() { return live.view; },
  get facts() { return facts; },
  live: null,
  go,
  open: (name, from) => drawer.show(app, name, from),
  /** Changes the query of the address without a new entry in the history: filters live there. */
  query(changes) {
    const url = new URL(location.href);
    for (const [key, value] of Object.entries(changes)) {
      if (value === "" || value === null || value === undefined) url.searchParams.delete(key);
      else url.searchParams.set(key, value);
    }
    history.replaceState(null, "", url);
  },
  get paused() { return live.paused || document.hidden; },
};

const live = new Live(paint);
app.live = live;
window.__seawall = { live, stats: live.stats, get view() { return live.view; }, get frame() { return live.frame; } };

function nav() {
  fill(byId("nav"), PAGES.map(([path, name]) => h("a", { href: path, onclick: follow }, name)));
}

function follow(event) {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  go(event.currentTarget.getAttribute("href"));
}

export function go(path) {
  if (path !== location.pathname + location.search) history.pushState(null, "", path);
  route(true);
}

function route(moved = false) {
  const path = location.pathname;
  const found = path.startsWith("/account/") ? [path, "Account", account] : PAGES.find(([where]) => where === path) || PAGES[0];
  if (page && page.close) page.close();
  forget();
  drawer.hide();
  main.replaceChildren();
  for (const link of byId("nav").children) attr(link, "aria-current", link.getAttribute("href") === (found[2] === account ? "/accounts" : found[0]) ? "page" : null);
  document.title = `${found[1]} · Seawall`;
  page = found[2].open(app, main);
  if (moved) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  paint(true);
}

function paint(forced = false) {
  if (live.view && live.paused && forced !== true) return;
  if (live.view && page) page.paint(live.view);
  drawer.paint(app);
  foot();
}

function foot() {
  if (!live.view) return;
  const head = live.view.head;
  const words = [facts.title, `model ${facts.model}`, `${whole(head.accounts)} accounts`, `amounts in ${facts.settlement}`, `engine time ${stamp(head.at_ms)}`, `frame ${live.frame}`];
  const footer = byId("foot");
  if (footer.children.length !== words.length) fill(footer, words.map((text) => h("span", {}, text)));
  words.forEach((text, k) => put(footer.children[k], text));
}

// -- the state of the stream, in words -------------------------------------------------------

let told = "";

function chip() {
  const silent = live.silence;
  const view = live.view;
  let state = "live", dot = "●", words = "", banner = "";
  const engine = view ? view.head.heard_ms + silent : 0;
  if (live.state === "down") {
    [state, dot, words] = ["down", "✕", "no connection"];
    banner = `No connection to the dashboard's server: what you see is from ${Number.isFinite(silent) ? `${age(silent)} ago` : "before"}. Trying again.`;
  } else if (!view) [state, dot, words] = ["wait", "○", "connecting"];
  else if (silent > LATE_MS) {
    [state, dot, words] = ["late", "▲", `nothing for ${age(silent)}`];
    if (silent > 5 * LATE_MS) banner = `Nothing has come for ${age(silent)}: what you see is old.`;
  } else if (engine > 2 * LATE_MS) {
    [state, dot, words] = ["late", "▲", `engine silent ${age(engine)}`];
    if (engine > 8 * LATE_MS) banner = `The engine has said nothing for ${age(engine)}: what you see is old.`;
  } else words = live.paused ? "paused" : `live ${age(engine)}`;
  attr(byId("chip"), "data-state", state);
  put(byId("chip").firstElementChild, dot);
  put(byId("chip-words"), words);
  const box = byId("banner");
  box.hidden = !banner;
  if (banner) put(box, banner);
  if (state !== told) {
    put(byId("announce"), state === "live" ? (told ? "live again" : "") : words); // states are announced, figures are not
    told = state;
  }
}

// -- tools and keys ---------------------------------------------------------------------------

function theme() {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("seawall-theme", next); } catch (error) { console.info("the theme is not kept:", error.message); }
  retheme();
  paint(true);
}

function pause() {
  live.paused = !live.paused;
  attr(byId("pause"), "aria-pressed", live.paused);
  put(byId("pause"), live.paused ? "Resume" : "Pause");
  chip();
  paint();
}

function keys(event) {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || !byId("keys-on").checked) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  if (event.key === "p") pause();
  else if (event.key === "t") theme();
  else if (event.key === "?") byId("keys").showModal();
  else if (event.key === "/") {
    event.preventDefault();
    if (location.pathname !== "/accounts") go("/accounts");
    const search = document.getElementById("search");
    if (search) search.focus();
  } else if (/^[1-8]$/.test(event.key)) go(PAGES[event.key - 1][0]);
}

byId("pause").addEventListener("click", pause);
byId("theme").addEventListener("click", theme);
byId("help").addEventListener("click", () => byId("keys").showModal());
document.querySelector(".mark").addEventListener("click", follow);
document.addEventListener("keydown", keys);
addEventListener("popstate", () => route());
setInterval(chip, 200);

async function begin() {
  nav();
  route();
  try {
    const answer = await fetch("/api/facts");
    if (!answer.ok) throw new Error(`${answer.status}`);
    facts = await answer.json();
  } catch (error) {
    put(byId("announce"), `the head of the page is missing: ${error.message}`);
  }
  paint(true);
}

begin();
