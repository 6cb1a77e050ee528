// What stands on the ring: the mark of a task, and the arc of a node with its name.
// A mark moves by a change of its transform alone, so that a task travels to its new owner.

import { s, say, set, style } from "./dom.js";
import { fraction, words } from "./format.js";
import { shape } from "./icons.js";
import { fitted } from "./measure.js";
import { ARC_RADIUS, arcPath, at, RUN_RADIUS } from "./ringlayout.js";
import { standing } from "./taskrow.js";

const REACH = 18;
const REACH_NARROW = 34;
export const GLYPH_SIZE_MIN = 8;
const DETAIL_SIZE_MIN = 6;
const DETAIL_SIZE_LARGE = 20;
const HALF_WIDTH = 530; // of the picture, where tasks have names
const AROUND = 2 * Math.PI;

export function makeNode(item) {
  const arc = s("path", { class: "arc" });
  const label = s("text", { class: "node-name", "text-anchor": "middle", "dominant-baseline": "middle" });
  const note = s("text", { class: "node-note", "text-anchor": "middle", "dominant-baseline": "middle" });
  const group = s("g", { class: "node", "data-node": item.name }, arc, label, note);
  group.parts = { arc, label, note };
  return group;
}

export function makeTask(item) {
  const dot = s("circle", { class: "dot" });
  const group = s("g", { class: "task-mark", role: "button", tabindex: "-1", "data-task": item.name, "aria-label": item.name }, dot);
  group.parts = { dot };
  return group;
}

/** What only a mark of some size has: in a crowd it would cost three elements for nothing to see. */
function enrich(group) {
  const progress = s("circle", { class: "progress", transform: "rotate(-90)" });
  const glyph = s("path", { class: "glyph icon" });
  const reach = s("circle", { class: "reach" }); // what a finger or a pointer finds
  const label = s("text", { class: "task-name", "dominant-baseline": "middle" });
  group.append(progress, glyph, label, reach);
  Object.assign(group.parts, { progress, glyph, label, reach });
}

function drawDetails(group, { task, place, size, named, letters }, status, part) {
  if (!group.parts.glyph) enrich(group);
  const { progress, glyph, label, reach } = group.parts;
  set(reach, "r", size >= DETAIL_SIZE_LARGE ? REACH_NARROW : size >= GLYPH_SIZE_MIN ? REACH : size);
  set(progress, "r", size + 3.5);
  const length = AROUND * (size + 3.5);
  set(progress, "stroke-dasharray", part === null ? "0 9999" : `${(part * length).toFixed(1)} 9999`);
  set(glyph, "d", size >= GLYPH_SIZE_MIN ? shape(status) : "");
  set(glyph, "transform", `scale(${(size / 12).toFixed(2)}) translate(-8 -8)`);
  const isRight = place.x >= 0;
  const room = HALF_WIDTH - Math.abs(place.x) - size - 9;
  say(label, named ? fitted(task.name, room, letters) : "");
  set(label, "x", isRight ? size + 9 : -size - 9);
  set(label, "text-anchor", isRight ? "start" : "end");
}

function howWords(task, status) {
  if (status === "running") return `runs on ${task.running.node}`;
  if (status === "idle") return "waits";
  return status === "paused" ? "paused" : `last run ${words(status)}`;
}

export function updateTask(group, item) {
  const { task, place, size, named, letters } = item;
  const status = standing(task);
  const part = task.running ? fraction(task.running.progress) : null;
  // Of a thousand marks few change at a time, and to compare a text costs least.
  const drawn = `${status} ${task.owner} ${task.running?.node} ${place.x.toFixed(1)} ${place.y.toFixed(1)} ${size} ${named} ${letters} ${part?.toFixed(2)}`;
  if (group.drawn === drawn) return;
  group.drawn = drawn;
  style(group, "transform", `translate(${place.x.toFixed(1)}px, ${place.y.toFixed(1)}px)`);
  set(group, "data-status", status);
  set(group, "aria-label", `${task.name}, ${task.owner ? `owned by ${task.owner}` : "without an owner"}, ${howWords(task, status)}`);
  set(group.parts.dot, "r", size);
  if (size >= DETAIL_SIZE_MIN) drawDetails(group, item, status, part);
}

function noteOf({ node, running, isNarrow, isCrowded }) {
  if (node.state !== "live") return node.state;
  if (isCrowded) return "";
  return isNarrow ? `runs ${running}` : `owns ${node.owns.length}, runs ${running}`;
}

export function updateNode(group, item) {
  const { node, arc, named, isNarrow, isCrowded } = item;
  const gap = isNarrow ? 17 : 9;
  const { arc: path, label, note } = group.parts;
  set(group, "data-state", node.state);
  set(path, "d", arcPath(ARC_RADIUS, arc.from, arc.to));
  const place = at(RUN_RADIUS - (isCrowded ? 46 : 66), arc.middle);
  say(label, named ? node.name : "");
  set(label, "x", place.x.toFixed(1));
  set(label, "y", (place.y - gap).toFixed(1));
  say(note, named ? noteOf(item) : "");
  set(note, "x", place.x.toFixed(1));
  set(note, "y", (place.y + gap + 3).toFixed(1));
}
