// Which bar lies where on the timeline. Pure: runs, nodes and a window in, places out.

import { bounds, lanes } from "./timescale.js";

export const AXIS_HEIGHT = 26;
export const ROW_GAP = 10;
export const NARROW_PIXELS = 620;
export const WIDE_PIXELS = 1600; // from there on bars and letters are larger, as the rest of the page is
const BARS_MAX = 1500;
const NAME_WIDTH = 96;
const NAME_HEIGHT = 18;
const LANES_TALL = 6;
const BAR_PIXELS_MIN = 4;
const ORIGIN_MILLISECONDS = 3_600_000;

function endOf(run, time) {
  return run.finishedAt ? Date.parse(run.finishedAt) : time;
}

/** The runs in the window by node, for every living node, too; and whether some had to be left out. */
function gather(runs, nodes, { from, to }, time) {
  const inside = [...runs.values()].filter((run) => Date.parse(run.startedAt) < to && endOf(run, time) > from).sort((a, b) => b.id - a.id);
  const shown = inside.slice(0, BARS_MAX).reverse();
  const names = new Set([...nodes.values()].filter((node) => node.state !== "dead").map((node) => node.name));
  for (const run of shown) names.add(run.node);
  const sorted = [...names].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const byNode = new Map(sorted.map((name) => [name, []]));
  for (const run of shown) byNode.get(run.node).push(run);
  return { byNode, isCut: inside.length > shown.length };
}

/**
 * {rows, places, height, left, shift, from, to, isCut}; places: by run, along a time that begins at
 * `origin`, so that as time goes on nothing changes but the shift of all of them together.
 */
export function layOut({ runs, nodes, view, time, width }) {
  const { from, to } = bounds(view, time);
  const { byNode, isCut } = gather(runs, nodes, { from, to }, time);
  const left = width < NARROW_PIXELS ? 0 : NAME_WIDTH;
  const [tall, letters] = width < WIDE_PIXELS ? [18, 12] : [24, 14];
  const scale = (width - left) / (to - from);
  const origin = Math.floor(time / ORIGIN_MILLISECONDS) * ORIGIN_MILLISECONDS;
  const along = (at) => (at - origin) * scale;
  const rows = [];
  const places = new Map();
  let y = AXIS_HEIGHT;
  for (const [name, ofNode] of byNode) {
    const { placed, count } = lanes(ofNode, time, 2 / scale);
    const height = count <= LANES_TALL ? tall : 9;
    const top = y + (left ? 0 : NAME_HEIGHT);
    for (const { run, lane, start, end } of placed) {
      const x = along(Math.max(start, from));
      const until = along(Math.min(end, to));
      places.set(run.id, { run, x, y: top + lane * (height + 3), width: Math.max(BAR_PIXELS_MIN, until - x), height, letters });
    }
    const bottom = top + count * (height + 3);
    rows.push({ name, labelY: y + (left ? tall / 2 + 1 : 8), bottom });
    y = bottom + ROW_GAP;
  }
  return { rows, places, height: y, left, scale, shift: left - along(from), from, to, isCut };
}

/** The lines from runs that were lost or interrupted to those that took over. */
export function links(places) {
  const found = [];
  for (const { run, x, y, width, height } of places.values()) {
    const next = run.successor && places.get(run.successor);
    if (!next || !["lost", "interrupted"].includes(run.status)) continue;
    const [x1, y1, x2, y2] = [x + width, y + height / 2, next.x, next.y + next.height / 2];
    const bow = Math.max(14, Math.abs(x2 - x1) / 2);
    found.push({ id: run.id, d: `M${x1} ${y1}C${x1 + bow} ${y1} ${x2 - bow} ${y2} ${x2} ${y2}` });
  }
  return found;
}

/** The next bar in a direction: along the time on the same node, or on the node above or below. */
export function neighbour({ places, rows }, id, key) {
  const here = places.get(id);
  const all = [...places.values()];
  const step = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const row = all.filter((other) => other.run.node === here.run.node).sort((a, b) => a.x - b.x || a.run.id - b.run.id);
    return row[row.indexOf(here) + step];
  }
  const nodes = rows.map((row) => row.name).filter((name) => all.some((other) => other.run.node === name));
  const name = nodes[nodes.indexOf(here.run.node) + step];
  return all.filter((other) => other.run.node === name).sort((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x))[0];
}
