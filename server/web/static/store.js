// What the page knows of the cluster: read once, then kept true by the events, and read anew
// where an event does not tell enough. Views read `state` and are told what kind of thing changed.

import { applyNode, applyProgress, applyTask, forgetRuns, isEnding, RUNS_MAX } from "./apply.js";
import { announce } from "./dom.js";
import { count } from "./format.js";
import { follow, get, rest, resume } from "./wire.js";

export const EVENTS_MAX = 2000;
const HOUR_MILLISECONDS = 3_600_000;
const NODES_MILLISECONDS = 4_000;
const PAGE_RUNS = 1000;
const TASKS_MILLISECONDS_MIN = 4_000;
const GATHER_MILLISECONDS = 40;
const SINGLE_READS_MAX = 6; // more stale tasks at once, and all are read together
const HIDDEN_MILLISECONDS = 60_000;

export const state = {
  nodes: new Map(), tasks: new Map(), runs: new Map(), events: [], diedHere: new Set(),
  link: { state: "connecting", attempt: 0 }, session: null,
  isLoaded: false, failure: null, skewMilliseconds: 0, nodesAt: 0, moreRuns: false,
};

const dirty = new Set();
const listeners = new Set();
let frame = null;

/** listener(kinds) is called once a frame, with the kinds that changed. Returns what ends it. */
export function watch(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function touch(...kinds) {
  for (const kind of kinds) dirty.add(kind);
  frame ??= requestAnimationFrame(() => {
    frame = null;
    const kinds_ = new Set(dirty);
    dirty.clear();
    for (const listener of listeners) listener(kinds_);
  });
}

/** The database's clock now, in milliseconds: what a wrong clock of the reader can't change. */
export function now() {
  return Date.now() + state.skewMilliseconds;
}

/** at: what the database's clock showed while a request was under way that took so long. */
export function hearClock(at, tookMilliseconds) {
  state.skewMilliseconds = Date.parse(at) - (Date.now() - tookMilliseconds / 2);
}

/** Reads while asked: calls during one reading lead to one more, after a pause. */
function reader(read, pauseAfter) {
  let isReading = false;
  let isAsked = false;
  return async function again() {
    isAsked = true;
    if (isReading) return;
    isReading = true;
    while (isAsked) {
      await new Promise((resolve) => setTimeout(resolve, GATHER_MILLISECONDS));
      isAsked = false;
      const began = performance.now();
      try {
        await read();
      } catch {
        // The link says that nobody answers; when it is back everything is read anew.
      }
      await new Promise((resolve) => setTimeout(resolve, pauseAfter(performance.now() - began)));
    }
    isReading = false;
  };
}

function putNodes({ nodes }) {
  const before = state.nodes;
  state.nodes = new Map(nodes.map((node) => [node.name, node]));
  state.nodesAt = performance.now();
  for (const task of state.tasks.values()) task.owner = null;
  for (const node of nodes) {
    for (const name of node.owns) {
      const task = state.tasks.get(name);
      if (task) task.owner = node.name;
    }
    if (node.state === "dead" && before.has(node.name) && before.get(node.name).state !== "dead") {
      state.diedHere.add(node.name);
    }
  }
  touch("nodes", "tasks");
}

function putTasks({ tasks }) {
  const before = state.tasks;
  state.tasks = new Map(tasks.map((task) => [task.name, task]));
  for (const task of tasks) {
    task.durations ??= before.get(task.name)?.durations ?? [];
    // Progress is told by events, which may be ahead of what was read.
    const known = before.get(task.name)?.running;
    if (known && task.running && known.runId === task.running.runId) {
      task.running.progress = known.progress ?? task.running.progress;
    }
  }
  touch("tasks");
}

async function readRuns() {
  const since = new Date(now() - HOUR_MILLISECONDS).toISOString();
  const found = new Map();
  let cursor = "";
  do {
    const page = await get(`/runs?limit=${PAGE_RUNS}&since=${since}${cursor && `&cursor=${cursor}`}`);
    for (const run of page.runs) found.set(run.id, run);
    cursor = page.next ?? "";
  } while (cursor && found.size < RUNS_MAX);
  state.moreRuns = cursor !== "";
  for (const [id, run] of state.runs) if (!found.has(id) && !run.finishedAt) found.set(id, run);
  state.runs = found;
  touch("runs");
}

const readNodes = reader(async () => putNodes(await get("/nodes")), (took) => Math.max(100, 3 * took));
const readTasks = reader(
  async () => putTasks(await get("/tasks")),
  (took) => Math.max(TASKS_MILLISECONDS_MIN, 30 * took),
);

const stale = new Set();
const readStale = reader(async () => {
  const names = [...stale];
  stale.clear();
  if (names.length > SINGLE_READS_MAX) {
    readTasks();
    return;
  }
  for (const name of names) {
    const found = await get(`/tasks/${encodeURIComponent(name)}`).catch((problem) => problem);
    if (found.status === 404) state.tasks.delete(name);
    else if (found.name !== name || found instanceof Error) continue;
    else {
      const known = state.tasks.get(name);
      found.durations = known?.durations ?? [];
      if (known?.running && found.running?.runId === known.running.runId) {
        found.running.progress = known.running.progress ?? found.running.progress;
      }
      state.tasks.set(name, found);
    }
  }
  touch("tasks");
}, (took) => Math.max(250, 5 * took));

/** Reads everything; also what was read before. Raises Problem. */
export async function load() {
  try {
    const [nodes, tasks] = await Promise.all([get("/nodes"), get("/tasks?durations=30")]);
    putTasks(tasks);
    putNodes(nodes);
    state.isLoaded = true;
    state.failure = null;
  } catch (problem) {
    state.failure = problem;
    touch("link");
    throw problem;
  } finally {
    touch("loaded");
  }
  await readRuns().catch(() => touch("runs"));
}

function tellOfNode(event) {
  if (event.event !== "dead") return;
  const node = state.nodes.get(event.node);
  const owned = node ? node.owns.length : 0;
  announce(`${event.node} died. ${owned === 1 ? "Its task moves to another node." : owned ? `Its ${count(owned, "task")} move to other nodes.` : ""}`);
}

function takeEvents(events) {
  for (const event of events) {
    if (event.event === "progress") {
      if (applyProgress(state, event)) touch("progress");
      continue;
    }
    state.events.push(event);
    touch("events");
    if (event.channel === "node_events") {
      tellOfNode(event);
      applyNode(state, event);
      touch("nodes");
      readNodes();
    } else {
      if (applyTask(state, event) === "stale") {
        stale.add(event.task);
        readStale();
      }
      touch("tasks", event.event === "started" || isEnding(event.event) ? "runs" : "tasks");
    }
  }
  if (state.events.length > EVENTS_MAX) state.events.splice(0, state.events.length - EVENTS_MAX);
  forgetRuns(state.runs);
}

function hear(message) {
  if (message.kind === "news") takeEvents(message.events);
  else if (message.kind === "history") {
    const known = new Set(state.events.map((event) => event.id));
    state.events.unshift(...message.events.filter((event) => !known.has(event.id)));
    touch("events");
  } else if (message.kind === "reset") load().catch(() => {});
  else if (message.kind === "link") {
    const before = state.link.state;
    state.link = { state: message.state, attempt: message.attempt ?? 0 };
    if (message.state === "live" && before !== "live") {
      if (before === "lost") announce("Connected again; nothing was missed.");
      load().catch(() => {});
    } else if (message.state === "lost" && before === "live") announce("The connection is lost; connecting again.");
    touch("link");
  }
}

/** After a sign-in or a sign-out: everything from the beginning. */
export function again() {
  state.isLoaded = false;
  state.link = { state: "connecting", attempt: 0 };
  touch("link", "loaded");
  rest(); // also a stream that is open still: it was somebody else's
  resume();
}

export function begin() {
  follow(hear);
  // Leases are renewed every second without an event; what is shown shrinks meanwhile.
  setInterval(() => {
    if (!document.hidden && state.link.state === "live") readNodes();
  }, NODES_MILLISECONDS);
  let hiding = null;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(rest, HIDDEN_MILLISECONDS);
    else resume();
  });
}
