// The last durations of a task, one bar each.

import { s, set } from "./dom.js";
import { count, duration } from "./format.js";

const BARS = 30;
const STEP = 4.4;
const HEIGHT = 30;

export function sparkline() {
  const node = s("svg", { class: "spark", viewBox: `0 0 ${BARS * STEP} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" });
  node.drawn = "";
  return node;
}

export function drawSparkline(node, durations) {
  const drawn = durations?.length ? `${durations.length}:${durations.at(-1)}:${durations[0]}` : "none";
  if (node.drawn === drawn) return;
  node.drawn = drawn;
  if (!durations?.length) {
    node.replaceChildren();
    set(node, "aria-label", "No run has ended yet");
    return;
  }
  const longest = Math.max(...durations, 0.001);
  const first = BARS - durations.length;
  while (node.childElementCount > durations.length) node.lastChild.remove();
  while (node.childElementCount < durations.length) node.append(s("rect", { width: STEP - 1.4, rx: 1 }));
  durations.forEach((seconds, index) => {
    const bar = node.children[index];
    const height = Math.max(2, (seconds / longest) * HEIGHT);
    set(bar, "x", ((first + index) * STEP).toFixed(1));
    set(bar, "y", (HEIGHT - height).toFixed(1));
    set(bar, "height", height.toFixed(1));
    set(bar, "class", index === durations.length - 1 ? "latest" : null);
  });
  const [least, most] = [Math.min(...durations), Math.max(...durations)];
  set(node, "aria-label", `The last ${count(durations.length, "run")} took ${duration(least)} to ${duration(most)}, the newest ${duration(durations.at(-1))}`);
}
