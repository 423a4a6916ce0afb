// Words, shapes and amounts of closings, used by every part of the page and by the account's own page.

import { money } from "../format.js";

/** Stages in the order in which an account goes through them: word, and what happens there. */
export const STAGES = {
  rescue: ["rescue", "the owner's own window"],
  selling: ["selling", "slices to the market"],
  auction: ["auction", "shares to bidders"],
  backstop: ["backstop", "all to the providers"],
  funds: ["funds", "sold at the funds' cost"],
  deleveraging: ["deleveraging", "other side is closed"],
};

export const LAYERS = {
  account: "account margin",
  proceeds: "proceeds",
  tranche: "market's tranche",
  backstop: "providers",
  fund: "global fund",
  deleveraging: "deleveraging",
  deferred: "claims",
};

/** A cell for a stage: shape and word. */
export const stage = (name) => ({ text: (STAGES[name] || [name])[0], class: `st sg-${name}` });

/** A decimal as money; a dash for what was not told. */
export const amount = (text) => (text === null || text === undefined ? "–" : money(Number(text)));

/** Seconds as people say them. */
export function lasting(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(seconds < 600 ? 1 : 0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** One auction of the view by name: see closings.py for the order. */
export function auction(number, row) {
  const [owner, bucket, insolvent, version, elapsed, price, share, value, requirement, health, due, fresh, bids, cash, legs, largest, scale] = row;
  return { key: number, number, owner, bucket, insolvent: Boolean(insolvent), version, elapsed, price: Number(price), share: Number(share), value: Number(value),
    requirement: Number(requirement), health: Number(health), due: Boolean(due), fresh: Boolean(fresh), bids, cash, legs, largest, unit: scale === null ? NaN : scale / 10_000 };
}

/** Solvent or not, by shape and word. */
export const solvency = (one) => ({ text: one.insolvent ? "insolvent" : "solvent", class: `st ${one.insolvent ? "st-bankrupt" : "sg-solvent"}` });

/** What else there is to know of its state. */
export function waits(one) {
  if (one.due) return "at its floor: the providers are called";
  return one.fresh ? "" : "sold in part: new figures awaited";
}

/** Where it stands, in a sentence for those who do not see the curve. */
export function told(one, shape) {
  const [length, floor] = [shape[0][shape[0].length - 1], shape[1][shape[1].length - 1] * one.unit];
  const asked = one.insolvent ? `a bidder is paid ${money(-one.price)} for all of it` : `${money(one.price)} asked for all of it, worth ${money(one.value)}`;
  return `${asked}; ${lasting(one.elapsed)} of ${lasting(length)} gone, ${one.insolvent ? `at most ${money(-floor)} is paid` : `floor ${money(floor)}`}`;
}
