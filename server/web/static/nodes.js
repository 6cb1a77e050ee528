// The view of the nodes: where they are, how long their leases last, what they own and run.

import { h, keyed, say, set, style } from "./dom.js";
import { count, exactly, whole } from "./format.js";
import { mark, remark } from "./icons.js";
import { now, state } from "./store.js";
import { openTask } from "./taskdialog.js";

const NAMES_SHOWN = 8;
const LEASE_SECONDS_MIN = 1;
let longestLease = LEASE_SECONDS_MIN;

/** What is left of a lease now: renewals come without an event, so this is the least that it can be. */
export function leaseLeft(node) {
  return Math.max(0, node.leaseSeconds - (performance.now() - state.nodesAt) / 1000);
}

function makeNode(node) {
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

function updateNames(card, node) {
  const running = new Map();
  for (const task of state.tasks.values()) if (task.running?.node === node.name) running.set(task.name, task);
  const names = [...new Set([...running.keys(), ...node.owns])].sort();
  keyed(card.parts.names, card.kept, names.slice(0, NAMES_SHOWN), {
    key: (name) => name,
    make: (name) => h("li", null, h("button", { type: "button", class: "chip", onclick: () => openTask(name) }, name)),
    update: (item, name) => {
      const isHere = node.owns.includes(name);
      const how = running.has(name) ? (isHere ? "running" : "running, owned by another") : "owned";
      set(item.firstChild, "data-how", running.has(name) ? "running" : "owned");
      set(item.firstChild, "aria-label", `${name}: ${how}`);
      set(item.firstChild, "title", how);
    },
  });
  say(card.parts.more, names.length > NAMES_SHOWN ? `and ${count(names.length - NAMES_SHOWN, "task")} more` : "");
  card.parts.more.hidden = names.length <= NAMES_SHOWN;
  say(card.parts.owned, `Owns ${node.owns.length}`);
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
  say(p.uptime, node.state === "dead" ? "" : whole((now() - Date.parse(node.startedAt)) / 1000));
}

function updateNode(card, node) {
  const p = card.parts;
  remark(p.state, node.state);
  set(card, "data-state", node.state);
  say(p.where, node.host);
  say(p.version, node.version);
  say(p.pid, `${node.pid}, start ${node.incarnation}`);
  set(p.uptime, "title", `since ${exactly(node.startedAt)}`);
  updateLease(card, node);
  updateNames(card, node);
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
    say(sum, `${count(live.length, "live node")}${nodes.length > live.length ? ` and ${nodes.length - live.length} that are not` : ""}${share}. A lease is renewed every second or so.`);
    empty.hidden = nodes.length > 0;
    keyed(list, kept, nodes, { key: (node) => node.name, make: makeNode, update: updateNode });
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
