// Puts the page together: its views, of which one is shown, and what stands above all of them.

import { announce, clear, h, say, set } from "./dom.js";
import * as events from "./events.js";
import { chooseZone } from "./format.js";
import * as money from "./money.js";
import * as nodes from "./nodes.js";
import * as overview from "./overview.js";
import { drawSession, openSignIn, readSession } from "./session.js";
import { begin, hearClock, load, state, touch, watch } from "./store.js";
import * as tasks from "./tasks.js";
import * as timeline from "./timeline.js";
import { exchange } from "./wire.js";

const VIEWS = [
  ["ring", "Ring", overview], ["tasks", "Tasks", tasks], ["timeline", "Timeline", timeline],
  ["nodes", "Nodes", nodes], ["money", "Money", money], ["events", "Events", events],
];
const TICK_MILLISECONDS = 1000;
const CLOCK_MILLISECONDS = 30_000;
const REST_MILLISECONDS_MIN = 60;
const REST_TIMES = 8;
const ZONE = "ringfence-zone";

const main = document.getElementById("main");
const tabs = document.getElementById("tabs");
const banner = document.getElementById("banner");
const made = new Map(); // name -> {root, view}
let shown = null;

function wanted() {
  const name = location.hash.slice(1);
  return VIEWS.some(([known]) => known === name) ? name : "ring";
}

function drawTabs() {
  for (const [name, title] of VIEWS) {
    tabs.append(h("li", null, h("a", { href: `#${name}`, "data-view": name }, title, " ", h("span", { class: "count" }))));
  }
}

function counts() {
  const running = [...state.tasks.values()].filter((task) => task.running).length;
  const live = [...state.nodes.values()].filter((node) => node.state === "live").length;
  const texts = { tasks: state.tasks.size ? `${running}/${state.tasks.size}` : "", nodes: live || "" };
  const said = { tasks: `Tasks, ${running} of ${state.tasks.size} running`, nodes: `Nodes, ${live} live` };
  for (const tab of tabs.querySelectorAll("a")) {
    const text = texts[tab.dataset.view] ?? "";
    say(tab.lastChild, text);
    set(tab, "aria-label", text ? said[tab.dataset.view] : null);
  }
}

function show(name) {
  if (shown && shown !== name) {
    made.get(shown).root.hidden = true;
    made.get(shown).view.hide();
    scrollTo(0, 0);
  }
  if (!made.has(name)) {
    const root = h("div", { class: "view", "data-view": name });
    main.append(root);
    made.set(name, { root, view: VIEWS.find(([known]) => known === name)[2].create(root) });
  }
  shown = name;
  const title = VIEWS.find(([known]) => known === name)[1];
  document.title = `${title} · Ringfence`;
  for (const tab of tabs.querySelectorAll("a")) set(tab, "aria-current", tab.dataset.view === name ? "page" : null);
  made.get(name).root.hidden = false;
  made.get(name).view.show();
}

/** What stands in place of the views: nothing yet, nobody signed in, or nothing to be had. */
function state_() {
  if (state.link.state === "signed-out") return "signed-out";
  if (state.isLoaded) return "ready";
  return state.failure ? "failed" : "loading";
}

const PLACES = {
  loading: () => [h("strong", null, "Reading the cluster…"), "It takes a moment."],
  "signed-out": () => [
    h("strong", null, state.session?.signedIn ? "Your token may not look" : "You are signed out"),
    h("p", null, state.session?.signedIn ? "It lacks the right read, or is for one account alone. Sign in with another one." : "This cluster shows itself to those who have a token."),
    h("p", null, h("button", { type: "button", class: "main", onclick: openSignIn }, "Sign in")),
  ],
  failed: () => [h("strong", null, "The cluster can't be read"), h("p", null, state.failure.message), h("p", null, h("button", { type: "button", class: "main", onclick: () => load().catch(() => {}) }, "Try again"))],
};
let placed = null;

function drawPlace(isAnother) {
  const now = state_();
  if (now === "ready") {
    if (placed !== null) document.getElementById("boot")?.remove();
    if (placed !== "ready") {
      placed = "ready";
      show(wanted());
    }
    return;
  }
  if (placed === now && now !== "failed" && !isAnother) return;
  placed = now;
  if (shown) {
    made.get(shown).root.hidden = true;
    made.get(shown).view.hide();
  }
  const boot = document.getElementById("boot") ?? h("div", { id: "boot", class: "empty" });
  const box = h("div", { id: "boot", class: "empty" }, ...PLACES[now]());
  boot.remove();
  main.prepend(box);
}

const LINKS = { live: "Live", connecting: "Connecting", "signed-out": "Signed out" };

function drawLink() {
  const { state: how, attempt } = state.link;
  set(document.getElementById("link"), "data-state", how);
  say(document.getElementById("link-text"), how === "lost" ? (attempt > 1 ? `Reconnecting, try ${attempt}` : "Reconnecting") : LINKS[how]);
  banner.hidden = how !== "lost" || attempt < 3;
  say(banner, "No instance answers. What you see is what was known last; nothing that happens meanwhile will be missed.");
}

function zones() {
  const button = document.getElementById("zone");
  const apply = (isUtc) => {
    chooseZone(isUtc ? "UTC" : undefined);
    clear(button).append(...(isUtc ? ["UTC"] : ["Local", h("span", { class: "wide" }, " time")]));
    set(button, "aria-label", isUtc ? "Times are in UTC; show them here" : "Times are in your time zone; show them in UTC");
  };
  let isUtc = localStorage.getItem(ZONE) === "UTC";
  apply(isUtc);
  button.addEventListener("click", () => {
    isUtc = !isUtc;
    localStorage.setItem(ZONE, isUtc ? "UTC" : "local");
    apply(isUtc);
    announce(isUtc ? "Times in UTC" : "Times in your time zone");
    // All rows are made anew, with the other times.
    for (const { root } of made.values()) root.remove();
    made.clear();
    shown = null;
    if (state_() === "ready") show(wanted());
  });
}

const changed = new Set();
let refreshing = null;
let restUntil = 0;

/** Draws what changed, and then rests for some times as long as it took: a crowd of events can't fill the thread. */
function refresh(kinds) {
  for (const kind of kinds) changed.add(kind);
  refreshing ??= setTimeout(() => requestAnimationFrame(() => {
    refreshing = null;
    const began = performance.now();
    if (shown && placed === "ready") made.get(shown).view.update(new Set(changed));
    changed.clear();
    const took = performance.now() - began;
    restUntil = performance.now() + Math.max(REST_MILLISECONDS_MIN, REST_TIMES * took);
  }), Math.max(0, restUntil - performance.now()));
}

async function readClock() {
  const { status, value, tookMilliseconds } = await exchange("GET", "/money/pulse?seconds=1");
  if (status === 200) hearClock(value.at, tookMilliseconds);
}

watch((kinds) => {
  if (kinds.has("link")) drawLink();
  if (kinds.has("session") || kinds.has("link")) drawSession(document.getElementById("session"));
  if (kinds.has("loaded") || kinds.has("link") || kinds.has("session")) drawPlace(kinds.has("session"));
  if (kinds.has("tasks") || kinds.has("nodes")) counts();
  if (shown && placed === "ready") refresh(kinds);
});

drawTabs();
zones();
addEventListener("hashchange", () => placed === "ready" && show(wanted()));
setInterval(() => {
  if (shown && placed === "ready" && !document.hidden) made.get(shown).view.tick();
}, TICK_MILLISECONDS);
setInterval(() => state.link.state === "live" && !document.hidden && readClock(), CLOCK_MILLISECONDS);
readClock();
readSession();
begin();
touch("link");
clear(document.getElementById("toasts"));
