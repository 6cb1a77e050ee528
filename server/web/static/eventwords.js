// An event in a sentence. Pure.

const BECAUSE = {
  schedule: "by its schedule", manual: "by hand", retry: "again after a failure",
  lost: "again after its run was lost", interrupted: "again after an interruption",
};

const TASK = {
  started: (event) => `${event.task} started on ${event.node}, ${BECAUSE[event.detail] ?? event.detail ?? ""}`,
  succeeded: (event) => `${event.task} succeeded on ${event.node}`,
  failed: (event) => `${event.task} failed on ${event.node}`,
  cancelled: (event) => `${event.task} was cancelled on ${event.node}`,
  timed_out: (event) => `${event.task} ran out of time on ${event.node}`,
  interrupted: (event) => `${event.task} was interrupted on ${event.node}`,
  lost: (event) => `${event.task} was lost with ${event.node}`,
  skipped: (event) => `${event.task} was skipped: ${event.detail ?? ""}`,
  paused: (event) => `${event.task} was paused`,
  resumed: (event) => `${event.task} was resumed`,
  redefined: (event) => `${event.task} was redefined${event.detail ? `: ${event.detail}` : ""}`,
  retired: (event) => `${event.task} was retired`,
  returned: (event) => `${event.task} returned`,
};

const NODE = {
  joined: "joined", draining: "is draining", left: "left", dead: "died",
};

export const KINDS = [...Object.keys(TASK), ...Object.keys(NODE)];

export function sentence(event) {
  if (TASK[event.event]) return TASK[event.event](event);
  return `${event.node} ${NODE[event.event] ?? event.event}`;
}

/** The same in fewer words: that a start follows from its schedule goes without saying. */
export function brief(event) {
  return event.event === "started" && event.detail === "schedule" ? `${event.task} started on ${event.node}` : sentence(event);
}

const TOLD = new Set(["failed", "timed_out", "lost", "cancelled", "interrupted"]);

/** What there is to say beside the sentence. */
export function detail(event) {
  return TOLD.has(event.event) ? (event.detail ?? "") : "";
}
