// Making and renewing pieces of the page. Text is always set as text: nothing that comes over the wire becomes markup.

/** An element: h("td", { class: "l", title: "…", onclick }, "text", child…). null and false children are left out. */
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name === "value") made.value = value;
    else if (name === "checked") made.checked = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  add(made, children);
  return made;
}

function add(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(parent, child);
    else parent.append(child);
  }
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/** Sets text where it has changed, so that an unchanged page costs no layout. */
export function put(element, text) {
  const words = String(text);
  if (element.firstChild === null || element.childNodes.length > 1 || element.textContent !== words) element.textContent = words;
}

export function attr(element, name, value) {
  if (value === null || value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** A panel with a title: {root, body, side, note}. */
export function panel(title, span, { note = "", id = "" } = {}) {
  const heading = h("h2", { id: id || null }, title);
  const side = h("span", { class: "side" });
  const small = h("span", { class: "note" }, note);
  const body = h("div", { class: "body" });
  const root = h("section", { class: `panel ${span}`, "aria-label": title }, h("div", { class: "top" }, heading, small, side), body);
  body.style.display = "flex";
  body.style.flexDirection = "column";
  body.style.flex = "1";
  body.style.minWidth = "0";
  return { root, body, side, note: small, heading };
}

/** A scrolling region that the keyboard can reach. */
export function scroll(label, child, tall = false) {
  return h("div", { class: tall ? "scroll tall" : "scroll", tabindex: "0", role: "region", "aria-label": `${label}: table` }, child);
}

/**
 * A table whose rows are kept by key and renewed cell by cell. columns: [{ head, class, cell(row) -> text or {text, class,
 * title, node} }]. set(rows) where each row has `key`; onopen(row) makes rows clickable through their first cell.
 */
export class Rows {
  constructor(columns, { caption = "", empty = "none", onopen = null } = {}) {
    this.columns = columns;
    this.onopen = onopen;
    this.body = h("tbody");
    this.kept = new Map();
    this.head = h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.class || null }, column.head)));
    this.none = h("tr", {}, h("td", { class: "empty", colspan: String(columns.length) }, empty));
    this.table = h("table", {}, caption ? h("caption", { class: "unseen" }, caption) : null, h("thead", {}, this.head), this.body);
  }

  set(rows) {
    const wanted = new Set(rows.map((row) => row.key));
    for (const [key, kept] of this.kept) {
      if (!wanted.has(key)) {
        kept.line.remove();
        this.kept.delete(key);
      }
    }
    this.none.remove();
    if (!rows.length) this.body.append(this.none);
    let at = this.body.firstChild;
    for (const row of rows) {
      let kept = this.kept.get(row.key);
      if (!kept) {
        kept = this.make(row);
        this.kept.set(row.key, kept);
      }
      kept.row = row;
      this.columns.forEach((column, k) => renew(kept.cells[k], column, row, k === 0 ? kept.opener : null));
      if (kept.line !== at) this.body.insertBefore(kept.line, at);
      else at = at.nextSibling;
    }
  }

  make(row) {
    const kept = { row, opener: null };
    kept.cells = this.columns.map((column) => h("td", { class: column.class || null }));
    kept.line = h("tr", {}, kept.cells);
    if (this.onopen) {
      kept.line.className = "go";
      kept.opener = h("button", { type: "button", class: "linkish" });
      kept.cells[0].append(kept.opener);
      kept.line.addEventListener("click", () => this.onopen(kept.row, kept.opener));
    }
    return kept;
  }
}

function renew(cell, column, row, opener) {
  const found = column.cell(row);
  const given = found !== null && typeof found === "object" ? found : { text: found };
  if (given.node) {
    if (cell.firstChild !== given.node) fill(cell, given.node);
  } else put(opener || cell, given.text ?? "–");
  const wanted = [column.class, given.class].filter(Boolean).join(" ");
  if (cell.className !== wanted) cell.className = wanted;
  attr(cell, "title", given.title);
}

/** Loads JSON; throws an Error with the server's words. */
export async function ask(path, body = null, signal = null) {
  const options = body === null ? { signal } : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, signal };
  const answer = await fetch(path, options);
  const text = await answer.text();
  let found = null;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error(`${answer.status}: ${text.slice(0, 200).trim()}`);
  }
  if (!answer.ok) throw new Error(found.error ? found.error.words : `${answer.status}`);
  return found;
}

export function problem(words) {
  return h("p", { class: "error", role: "alert" }, words);
}
