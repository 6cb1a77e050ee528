// A shape for each status, so that nothing is said by colour alone.

import { h, s, set, say } from "./dom.js";
import { words } from "./format.js";

const TICK = "M3.5 8.5l3 3 6-7";
const CROSS = "M4 4l8 8M12 4l-8 8";
const SHAPES = {
  running: "M5 3.5v9l7-4.5z",
  started: "M5 3.5v9l7-4.5z",
  succeeded: TICK,
  failed: CROSS,
  timed_out: "M8 2.5a5.5 5.5 0 1 0 .01 0zM8 5v3.2l2 1.6",
  cancelled: "M8 2.5a5.5 5.5 0 1 0 .01 0zM4.3 4.3l7.4 7.4",
  interrupted: "M2.5 8h4M9.5 8h4M7.5 4l-1 8M9.8 4l-1 8",
  lost: "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.6M8 12.6v.1",
  paused: "M5.5 3.5v9M10.5 3.5v9",
  resumed: "M5 3.5v9l7-4.5z",
  skipped: "M3 4l4.5 4L3 12M8 4l4.5 4L8 12",
  idle: "M8 4.5a3.5 3.5 0 1 0 .01 0z",
  redefined: "M3 12.5l1-3 7-7 2 2-7 7z",
  retired: "M3 5h10v7.5H3zM2.5 3h11v2h-11zM6.5 8h3",
  returned: "M6 4L3 7l3 3M3 7h7a3 3 0 0 1 0 6H8",
  joined: "M8 3v10M3 8h10",
  left: "M3 8h10",
  draining: "M8 2.5C5.5 6 4.5 7.6 4.5 9.4a3.5 3.5 0 0 0 7 0C11.5 7.6 10.500 6 8 2.500z",
  dead: CROSS,
  live: TICK,
  unchanged: "M3 8h10",
};

/** The path of a status, in a square of 16. */
export function shape(status) {
  return SHAPES[status] ?? SHAPES.unchanged;
}

/** A status as shape and word; change it with remark(). */
export function mark(status, text) {
  const node = h(
    "span", { class: "mark", "data-status": status },
    s("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" }, s("path", { d: shape(status) })),
    h("span", null, text ?? words(status)),
  );
  return node;
}

export function remark(node, status, text) {
  set(node, "data-status", status);
  set(node.firstChild.firstChild, "d", shape(status));
  say(node.lastChild, text ?? words(status));
}
