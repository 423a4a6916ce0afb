// Numbers and states as people read them. Exact decimals come as text and go to a title; what is shown is rounded.

export const STATUSES = ["ok", "margin_call", "liquidatable", "bankrupt"];
export const WORDS = { ok: "ok", margin_call: "margin call", liquidatable: "liquidatable", bankrupt: "bankrupt", recovered: "recovered" };
export const MICRO = 1e6;

const two = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const none = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const some = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 });

export const whole = (n) => none.format(n);
export const money = (n) => (n === null || n === undefined || !Number.isFinite(n) ? "–" : two.format(n).replace("-", "−"));
export const number = (n) => (Number.isFinite(n) ? some.format(n).replace("-", "−") : "–");
export const micro = (n) => money(n / MICRO);

/** 1234567 as 1.235 M: four digits and a word that says the size. */
export function brief(n) {
  if (!Number.isFinite(n)) return "–";
  const size = Math.abs(n);
  const sign = n < 0 ? "−" : "";
  for (const [limit, word] of [[1e12, "tn"], [1e9, "bn"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= limit) {
      const value = size / limit;
      return `${sign}${value.toFixed(value >= 100 ? 1 : value >= 10 ? 2 : 3)} ${word}`;
    }
  }
  return `${sign}${size.toFixed(Number.isInteger(size) || size >= 100 ? 0 : 2)}`;
}

export const percent = (x, digits = 1) => (Number.isFinite(x) ? `${(100 * x).toFixed(digits).replace("-", "−")} %` : "–");
export const signed = (x, digits = 1) => (Number.isFinite(x) ? `${x > 0 ? "+" : ""}${percent(x, digits)}` : "–");

/** Health over maintenance margin. Where equity is not positive the share says nothing: the words do. */
export function ratio(equity, maintenance) {
  if (!(maintenance > 0)) return "no margin";
  return equity <= 0 ? "–" : percent((equity - maintenance) / maintenance, 1);
}

const pad = (n) => String(n).padStart(2, "0");

export function clock(ms) {
  const at = new Date(ms);
  return `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`;
}

export function stamp(ms) {
  return ms ? `${new Date(ms).toISOString().slice(0, 10)} ${clock(ms)} UTC` : "–";
}

/** An age in the unit that is read quickest. */
export function age(ms) {
  if (!Number.isFinite(ms)) return "never";
  if (ms < 0) return "0.0 s";
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/** A cell for a status: icon and word, never colour alone. */
export function status(word) {
  return { text: WORDS[word] || word, class: `st st-${word}` };
}
