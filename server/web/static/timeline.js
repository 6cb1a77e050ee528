// The last hour by node: one bar a run, its outcome by colour and pattern, and lines from runs
// that were lost or interrupted to those that took over.

import { h, keyed, s, say, set } from "./dom.js";
import { duration, hourAndMinute, moment, words } from "./format.js";
import { fitted } from "./measure.js";
import { openRun } from "./rundialog.js";
import { now, state } from "./store.js";
import { AXIS_HEIGHT, layOut, links, NARROW_PIXELS, neighbour, ROW_GAP, WIDE_PIXELS } from "./timelinelayout.js";
import { fitting, moved, ticks, WHOLE, zoomed } from "./timescale.js";

const TEXT_PIXELS_MIN = 56;
const SECONDS_SHOWN_BELOW = 300_000;
const TICKS_NARROW = 4;
const TICK_ROOM = 34; // half of the longest label
const NEW_BARS_MAX = 250;
const PATTERNS = {
  failed: "M0 8L8 0", timed_out: "M0 4H8", interrupted: "M4 0V8", lost: "M0 0L8 8M0 8L8 0", cancelled: "M2 2h1M6 6h1",
};
const OUTCOMES = ["running", "succeeded", "failed", "timed_out", "cancelled", "interrupted", "lost"];

function patterns() {
  return s("defs", null, OUTCOMES.map((status) => s("pattern", { id: `bar-${status}`, width: 8, height: 8, patternUnits: "userSpaceOnUse", "data-status": status },
    s("rect", { width: 8, height: 8, class: "ground" }), PATTERNS[status] ? s("path", { d: PATTERNS[status], class: "figure" }) : null)));
}

function legend() {
  return h("p", { class: "legend" }, OUTCOMES.map((status) => h("span", { class: "mark", "data-status": status },
    s("svg", { viewBox: "0 0 26 12", class: "swatch", "aria-hidden": "true" }, s("rect", { width: 26, height: 12, rx: 3, class: "bar-box", fill: `url(#bar-${status})` })), words(status))));
}

function makeBar({ run }) {
  return s("g", { class: "run-bar", role: "button", tabindex: "-1", "data-run": run.id },
    s("rect", { class: "bar-box", rx: 3 }));
}

function updateBar(group, { run, x, y, width, height, letters }) {
  const box = group.firstChild;
  if (group.status !== run.status) {
    group.status = run.status;
    set(group, "data-status", run.status);
    set(box, "fill", `url(#bar-${run.status})`);
    const took = run.durationSeconds ? `, ${duration(run.durationSeconds)}` : "";
    set(group, "aria-label", `${run.task}, run ${run.id} on ${run.node}, ${words(run.status)}, from ${moment(run.startedAt)}${took}`);
  }
  // A thousand bars stay where they are while time goes on; to compare a text costs least.
  const drawn = `${x.toFixed(1)} ${y} ${width.toFixed(1)} ${height} ${letters}`;
  if (group.drawn === drawn) return;
  group.drawn = drawn;
  const places = { x: x.toFixed(1), y, width: width.toFixed(1), height };
  for (const [name, value] of Object.entries(places)) set(box, name, value);
  const isNamed = width > TEXT_PIXELS_MIN && height >= 14;
  if (!isNamed && !group.text) return; // most bars are too small for a name
  if (!group.text) group.append((group.text = s("text", { "dominant-baseline": "central" })));
  say(group.text, isNamed ? fitted(run.task, width - 12, letters) : "");
  set(group.text, "x", (x + 6).toFixed(1));
  set(group.text, "y", y + height / 2);
}

class Timeline {
  constructor(root) {
    this.width = 0;
    this.view = null; // the window: fits what there is, until somebody zooms
    this.current = null; // the run in the order of the Tab key
    this.drawn = { places: new Map(), rows: [], left: 0 };
    this.kept = { bars: new Map(), links: new Map(), rows: new Map(), ticks: new Map() };
    this.layers = { ticks: s("g"), rows: s("g"), links: s("g", { class: "links" }), bars: s("g") };
    this.svg = s("svg", { class: "timeline", role: "group", "aria-label": "Runs of the last hour by node. Arrow keys go from run to run, plus and minus zoom, Enter opens a run." },
      patterns(), this.layers.ticks, this.layers.rows, this.layers.links, this.layers.bars);
    this.range = h("p", { class: "muted" });
    this.empty = h("p", { class: "empty" }, "No run in this time.");
    this.box = h("div", { class: "timeline-box" }, this.svg);
    root.append(h("section", { class: "panel", "aria-label": "Timeline" },
      h("div", { class: "tools" }, this.range, h("div", { class: "acts end" }, this.buttons())), legend(), this.empty, this.box,
      h("p", { class: "muted hint" }, "Hold Ctrl and turn the wheel to zoom; or use + and −, 0 for the whole hour.")));
    this.listen();
  }

  buttons() {
    const button = (text, title, act) => h("button", { type: "button", title, "aria-label": title, onclick: act }, text);
    return [
      button("−", "Zoom out", () => this.zoom(2)), button("+", "Zoom in", () => this.zoom(0.5)),
      button("‹", "Earlier", () => this.go(moved(this.window, -0.5))), button("›", "Later", () => this.go(moved(this.window, 0.5))),
      button("Last hour", "Show the last hour", () => this.go(WHOLE)),
    ];
  }

  get window() {
    return this.view ?? fitting(state.runs.values(), now());
  }

  go(view) {
    this.view = view;
    this.draw();
  }

  zoom(factor, place) {
    const view = this.window;
    this.go(zoomed(view, factor, place ?? (view.back ? 0.5 : 1)));
  }

  draw() {
    const { width } = this;
    if (!width) return;
    const view = this.window;
    this.drawn = layOut({ runs: state.runs, nodes: state.nodes, view, time: now(), width });
    const { places, height, shift, from, to, isCut } = this.drawn;
    set(this.svg, "width", width);
    set(this.svg, "height", height);
    set(this.svg, "viewBox", `0 0 ${width} ${height}`);
    set(this.svg, "data-wide", width >= WIDE_PIXELS);
    this.drawTicks(width, view);
    this.drawRows(width);
    for (const layer of [this.layers.bars, this.layers.links]) set(layer, "transform", `translate(${shift.toFixed(1)} 0)`);
    keyed(this.layers.bars, this.kept.bars, this.affordable([...places.values()]), { key: (item) => item.run.id, make: makeBar, update: updateBar });
    keyed(this.layers.links, this.kept.links, links(places), { key: (item) => item.id, make: () => s("path"), update: (node, item) => set(node, "d", item.d) });
    if (!places.has(this.current)) this.current = places.keys().next().value ?? null;
    this.rove();
    this.empty.hidden = places.size > 0;
    const cut = isCut || state.moreRuns ? " The newest runs alone are shown." : "";
    say(this.range, `${hourAndMinute(from)} to ${view.back ? hourAndMinute(to) : "now"}.${cut}`);
  }

  /** As many new bars as one frame can make; the others come in the next ones, the newest first. */
  affordable(all) {
    const isNew = (item) => !this.kept.bars.has(item.run.id);
    let left = all.filter(isNew).length - NEW_BARS_MAX;
    if (left <= 0) return all;
    requestAnimationFrame(() => this.draw());
    return all.filter((item) => !isNew(item) || left-- <= 0);
  }

  drawTicks(width, view) {
    const { left, scale, from, to, height } = this.drawn;
    const places = ticks({ from, to }, width < NARROW_PIXELS ? TICKS_NARROW : undefined).map((at) => ({ at, x: left + (at - from) * scale }));
    const text = (at) => (view.span < SECONDS_SHOWN_BELOW ? moment(new Date(at).toISOString()) : hourAndMinute(at));
    keyed(this.layers.ticks, this.kept.ticks, places, {
      key: (item) => item.at,
      make: () => s("g", { class: "tick" }, s("line", { y1: AXIS_HEIGHT - 6 }), s("text", { y: 12, "text-anchor": "middle" })),
      update: (node, { at, x }) => {
        set(node, "transform", `translate(${x.toFixed(1)} 0)`);
        set(node.firstChild, "y2", height);
        say(node.lastChild, x < left + TICK_ROOM || x > width - TICK_ROOM ? "" : text(at));
      },
    });
  }

  drawRows(width) {
    keyed(this.layers.rows, this.kept.rows, this.drawn.rows, {
      key: (row) => row.name,
      make: () => s("g", { class: "node-row" }, s("line", { x1: 0 }), s("text", { x: 0, "dominant-baseline": "central" })),
      update: (node, row) => {
        for (const name of ["y1", "y2"]) set(node.firstChild, name, row.bottom + ROW_GAP / 2);
        set(node.firstChild, "x2", width);
        set(node.lastChild, "y", row.labelY);
        say(node.lastChild, row.name);
      },
    });
  }

  rove() {
    for (const [id, bar] of this.kept.bars) set(bar, "tabindex", id === this.current ? "0" : "-1");
  }

  key(event) {
    const id = Number(event.target.closest("[data-run]")?.dataset.run);
    if (event.key === "+" || event.key === "=") this.zoom(0.5);
    else if (event.key === "-") this.zoom(2);
    else if (event.key === "0") this.go(WHOLE);
    else if (id && event.key.startsWith("Arrow")) {
      const next = neighbour(this.drawn, id, event.key);
      if (next) {
        this.current = next.run.id;
        this.rove();
        this.kept.bars.get(this.current).focus();
      }
    } else if (id && (event.key === "Enter" || event.key === " ")) openRun(id);
    else return;
    event.preventDefault();
  }

  listen() {
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("click", (event) => {
      const bar = event.target.closest("[data-run]");
      if (bar) openRun(Number(bar.dataset.run));
    });
    this.svg.addEventListener("pointerover", (event) => {
      const bar = event.target.closest("[data-run]");
      if (!bar) return;
      bar.querySelector("title")?.remove();
      bar.append(s("title", null, bar.getAttribute("aria-label")));
    });
    this.box.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const { left } = this.drawn;
      const place = (event.clientX - this.box.getBoundingClientRect().left - left) / Math.max(1, this.width - left);
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, Math.min(1, Math.max(0, place)));
    }, { passive: false });
    // Asked for in each drawing, the width would make the browser lay out everything at once.
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry.contentRect.width);
      if (width === 0 || width === this.width) return;
      this.width = width;
      this.draw();
    }).observe(this.box);
  }
}

export function create(root) {
  const timeline = new Timeline(root);
  return {
    show: () => timeline.draw(),
    hide: () => {},
    update: (kinds) => (kinds.has("runs") || kinds.has("nodes")) && timeline.draw(),
    tick: () => timeline.window.back === 0 && timeline.draw(),
  };
}
