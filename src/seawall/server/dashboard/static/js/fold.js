// How a view changes: the fold of snapshot and differences, the twin of fold.py. No state, no page.

export const RINGS = { log: 60, series: 600, day: 720, news: 80 };

/** The view after a difference {set, map, ring}; the one given is left as it was. */
export function fold(view, change) {
  const out = { ...view, ...change.set };
  for (const [name, rows] of Object.entries(change.map)) {
    const merged = { ...out[name] };
    for (const [key, row] of Object.entries(rows)) {
      if (row === null) delete merged[key];
      else merged[key] = row;
    }
    out[name] = merged;
  }
  for (const [name, points] of Object.entries(change.ring)) {
    out[name] = (out[name] || []).concat(points).slice(-RINGS[name]);
  }
  return out;
}
