// The timeline's window on time, and which bar lies where. Pure.

export const HOUR = 3_600_000;
const SPAN_MIN = 60_000;
const FITTING_MIN = 2 * SPAN_MIN;
const STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900].map((seconds) => seconds * 1000);
const TICKS_MAX = 9;

export const WHOLE = { span: HOUR, back: 0 };

/** A window of `span` that ends `back` before now: zoomed by a factor around a place from 0 to 1. */
export function zoomed(view, factor, place = 1) {
  const span = Math.min(HOUR, Math.max(SPAN_MIN, view.span * factor));
  const back = view.back + (view.span - span) * (1 - place);
  return bounded({ span, back });
}

export function moved(view, part) {
  return bounded({ span: view.span, back: view.back - part * view.span });
}

function bounded({ span, back }) {
  return { span, back: Math.min(HOUR - span, Math.max(0, back)) };
}

/** The window as moments in milliseconds. */
export function bounds(view, now) {
  const to = now - view.back;
  return { from: to - view.span, to };
}

/** Where the axis has its marks: round times of the reader's own zone or UTC are both multiples of these. */
export function ticks({ from, to }, most = TICKS_MAX) {
  const step = STEPS.find((one) => (to - from) / one <= most) ?? STEPS.at(-1);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) found.push(at);
  return found;
}

/**
 * Runs of one node into lanes, so that those that overlap lie below each other.
 * Returns [{run, lane}] and the number of lanes.
 */
export function lanes(runs, now, gap) {
  const free = [];
  const placed = [];
  for (const run of runs) {
    const start = Date.parse(run.startedAt);
    const end = run.finishedAt ? Date.parse(run.finishedAt) : now;
    let lane = free.findIndex((until) => until <= start);
    if (lane < 0) lane = free.length;
    free[lane] = end + gap;
    placed.push({ run, lane, start, end });
  }
  return { placed, count: Math.max(1, free.length) };
}

/** The window that holds all of these runs, up to an hour back, with some room before the first. */
export function fitting(runs, now) {
  let first = now;
  for (const run of runs) first = Math.min(first, Date.parse(run.startedAt));
  const span = Math.ceil(((now - first) * 1.05) / SPAN_MIN) * SPAN_MIN;
  return { span: Math.min(HOUR, Math.max(FITTING_MIN, span)), back: 0 };
}
