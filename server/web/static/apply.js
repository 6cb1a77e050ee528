// What an event makes of what is known. Pure: state in, state changed, and what changed told.

export const DURATIONS_MAX = 30;
export const RUNS_MAX = 2500;
const ENDINGS = new Set(["succeeded", "failed", "cancelled", "timed_out", "interrupted", "lost"]);
const REPEATS = new Set(["lost", "interrupted", "retry"]);

export function isEnding(kind) {
  return ENDINGS.has(kind);
}

function secondsBetween(from, to) {
  return Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
}

function begun(event, task, runs, nodes) {
  const run = {
    id: event.run, task: event.task, node: event.node, status: "running", trigger: event.detail ?? "schedule",
    startedAt: event.at, finishedAt: null, durationSeconds: null, predecessor: null, successor: null, error: null,
  };
  const before = task?.lastRun;
  if (REPEATS.has(run.trigger) && before && before.id < run.id) {
    run.predecessor = before.id;
    const known = runs.get(before.id);
    if (known) known.successor = run.id;
  }
  runs.set(run.id, run);
  if (task && !(task.lastRun && task.lastRun.id >= run.id)) {
    const node = nodes.get(event.node);
    task.running = {
      runId: run.id, node: event.node, host: node?.host ?? null, pid: node?.pid ?? null,
      startedAt: event.at, progress: null,
    };
    task.dueSoon = false;
  }
}

function ended(event, task, runs) {
  let run = runs.get(event.run);
  if (!run && task?.running?.runId === event.run) {
    run = { id: event.run, task: event.task, node: event.node, startedAt: task.running.startedAt, trigger: null, predecessor: null, successor: null };
    runs.set(run.id, run);
  }
  if (!run) return;
  const isNews = run.status !== event.event;
  run.status = event.event;
  run.finishedAt = event.at;
  run.durationSeconds = secondsBetween(run.startedAt, event.at);
  run.error = event.detail;
  if (!task) return;
  if (task.running?.runId === event.run) task.running = null;
  if (!task.lastRun || task.lastRun.id <= run.id) task.lastRun = run;
  if (isNews && task.durations) {
    task.durations.push(run.durationSeconds);
    if (task.durations.length > DURATIONS_MAX) task.durations.shift();
  }
}

/** Applies one event of a task. Returns "stale" when the task must be read anew. */
export function applyTask(state, event) {
  const task = state.tasks.get(event.task);
  if (event.event === "started") begun(event, task, state.runs, state.nodes);
  else if (ENDINGS.has(event.event)) ended(event, task, state.runs);
  else if (!task) return "stale";
  else if (event.event === "paused") {
    task.paused = true;
    task.nextRunAt = null;
  } else if (event.event === "skipped") {
    task.skippedTicks += 1;
    task.lastSkip = { at: event.at, reason: event.detail };
  }
  return "stale"; // its next time is the schedule's, which no event tells
}

const STATES = { joined: "live", draining: "draining", dead: "dead" };

/** What an event of a node tells at once; what the nodes own now is read. */
export function applyNode(state, event) {
  if (event.event === "left") state.nodes.delete(event.node);
  const node = state.nodes.get(event.node);
  if (!node || !STATES[event.event]) return;
  if (event.event === "dead" && node.state !== "dead") {
    state.diedHere.add(event.node);
    node.leaseSeconds = 0;
  }
  node.state = STATES[event.event];
}

/** How far a run is. Returns whether anybody here knows the run. */
export function applyProgress(state, event) {
  const running = state.tasks.get(event.task)?.running;
  if (running?.runId !== event.run) return false;
  running.progress = event.progress;
  return true;
}

/** Forgets the oldest runs beyond what the timeline shows. */
export function forgetRuns(runs) {
  if (runs.size <= RUNS_MAX * 1.1) return;
  const surplus = [...runs.values()].filter((run) => run.finishedAt).sort((a, b) => a.id - b.id);
  for (const run of surplus.slice(0, runs.size - RUNS_MAX)) runs.delete(run.id);
}
