// The view of the nodes: where they are, how long their leases last, what they own and run.

import { h, keyed, say, set, style } from "./dom.js";
import { count, exactly, whole } from "./format.js";
import { mark, remark } from "./icons.js";
import { now, state } from "./store.js";
import { openTask } from "./taskdialog.js";

const NAMES_SHOWN = 8;
const CROWD = 20; // of nodes
const NAMES_SHOWN_IN_A_CROWD = 4;
const LEASE_SECONDS_MIN = 1;
let longestLease = LEASE_SECONDS_MIN;

/** What is left of a lease now: renewals come without an event, so this is the least that it can be. */
export function leaseLeft(node) {
  if (node.state === "dead") return 0; // proven dead, it may have had some of it left
  return Math.max(0, node.leaseSeconds - (performance.now() - state.nodesAt) / 1000);
}

function makeNode({ node }) {
  const p = {
    state: mark(node.state), where: h("dd"), version: h("dd"), uptime: h("dd"), pid: h("dd"), lease: h("span"),
    bar: h("div", { class: "bar lease", role: "meter", "aria-valuemin": "0" }, h("i")),
    owned: h("p"), running: h("p"), names: h("ul", { class: "names" }), more: h("p", { class: "muted" }),
  };
  const row = (name, value) => [h("dt", null, name), value];
  const card = h("li", { class: "panel node-card" },
    h("header", null, h("h2", null, node.name), p.state),
    h("div", { class: "lease-line" }, h("span", { class: "muted" }, "Lease"), p.bar, p.lease),
    h("dl", { class: "facts" }, row("Host", p.where), row("Version", p.version), row("Up for", p.uptime), row("Process", p.pid)),
    h("div", { class: "line" }, p.owned, p.running), p.names, p.more);
  card.parts = p;
  card.kept = new Map();
  return card;
}

function updateNames(card, node, running, most) {
  const owned = new Set(node.owns);
  const names = [...new Set([...running, ...node.owns])].sort();
  keyed(card.parts.names, card.kept, names.slice(0, most), {
    key: (name) => name,
    make: (name) => h("li", null, h("button", { type: "button", class: "chip", onclick: () => openTask(name) }, name)),
    update: (item, name) => {
      const how = running.has(name) ? (owned.has(name) ? "running" : "running, owned by another") : "owned";
      set(item.firstChild, "data-how", running.has(name) ? "running" : "owned");
      set(item.firstChild, "aria-label", `${name}: ${how}`);
      set(item.firstChild, "title", how);
    },
  });
  say(card.parts.more, names.length > most ? `and ${count(names.length - most, "task")} more` : "");
  card.parts.more.hidden = names.length <= most;
  say(card.parts.owned, `Owns ${node.owns.length},`);
  say(card.parts.running, `runs ${running.size}`);
}

function updateLease(card, node) {
  const p = card.parts;
  const left = leaseLeft(node);
  longestLease = Math.max(longestLease, node.leaseSeconds);
  const part = left / longestLease;
  p.bar.classList.toggle("short", part < 0.4);
  style(p.bar.firstChild, "transform", `scaleX(${part.toFixed(3)})`);
  set(p.bar, "aria-label", `Lease of ${node.name}`);
  set(p.bar, "aria-valuemax", Math.ceil(longestLease));
  set(p.bar, "aria-valuenow", Math.round(left));
  say(p.lease, node.state === "dead" ? "gone" : `${left.toFixed(0)} s`);
  say(p.uptime, node.state === "dead" ? "no more" : whole((now() - Date.parse(node.startedAt)) / 1000));
}

function updateNode(card, { node, running, most }) {
  const p = card.parts;
  remark(p.state, node.state);
  set(card, "data-state", node.state);
  say(p.where, node.host);
  say(p.version, node.version);
  say(p.pid, `${node.pid}, incarnation ${node.incarnation}`);
  set(p.uptime, "title", `since ${exactly(node.startedAt)}`);
  updateLease(card, node);
  updateNames(card, node, running, most);
}

const NOTHING = new Set();

function runningByNode() {
  const found = new Map();
  for (const task of state.tasks.values()) {
    if (!task.running) continue;
    if (!found.has(task.running.node)) found.set(task.running.node, new Set());
    found.get(task.running.node).add(task.name);
  }
  return found;
}

export function create(root) {
  const kept = new Map();
  const sum = h("p", { class: "muted" });
  const list = h("ul", { class: "node-cards", "aria-label": "Nodes" });
  const empty = h("p", { class: "empty" }, "No node has joined yet.");
  root.append(h("section", { "aria-label": "Nodes" }, h("div", { class: "tools" }, sum), empty, list));

  function draw() {
    const nodes = [...state.nodes.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    const live = nodes.filter((node) => node.state === "live");
    const owned = live.map((node) => node.owns.length);
    const share = owned.length ? `; each owns ${Math.min(...owned) === Math.max(...owned) ? owned[0] : `${Math.min(...owned)} or ${Math.max(...owned)}`} of the tasks` : "";
    say(sum, `${count(live.length, "live node")}${nodes.length > live.length ? ` and ${nodes.length - live.length} that ${nodes.length - live.length === 1 ? "is" : "are"} not` : ""}${share}. A lease is renewed every second or so; ▸ marks what runs now.`);
    empty.hidden = nodes.length > 0;
    const running = runningByNode();
    const most = nodes.length > CROWD ? NAMES_SHOWN_IN_A_CROWD : NAMES_SHOWN;
    keyed(list, kept, nodes.map((node) => ({ node, running: running.get(node.name) ?? NOTHING, most })), {
      key: (item) => item.node.name, make: makeNode, update: updateNode,
    });
  }

  return {
    show: draw,
    hide: () => {},
    update: (kinds) => (kinds.has("nodes") || kinds.has("tasks")) && draw(),
    tick: () => {
      for (const [name, card] of kept) if (state.nodes.has(name)) updateLease(card, state.nodes.get(name));
    },
  };
}
