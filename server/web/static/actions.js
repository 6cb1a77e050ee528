// What an operator may do, asked for once more where it hurts, with the result told.

import { confirm } from "./dialog.js";
import { set, tell } from "./dom.js";
import { state, touch } from "./store.js";
import { ask, Problem } from "./wire.js";

/** What each action needs: the words of the button, of the question, and of the result. */
const KINDS = {
  run: {
    label: "Run now", done: (task) => `${task.name} is due now; its owner starts it.`,
    path: (task) => `/tasks/${encodeURIComponent(task.name)}/run`,
  },
  pause: {
    label: "Pause", done: (task) => `${task.name} is paused.`,
    path: (task) => `/tasks/${encodeURIComponent(task.name)}/pause`,
    question: (task) => ({
      title: `Pause ${task.name}?`,
      text: "It starts no more runs until somebody resumes it. A run that is under way goes on.",
      yes: "Pause it",
    }),
  },
  resume: {
    label: "Resume", done: (task) => `${task.name} goes on with its schedule.`,
    path: (task) => `/tasks/${encodeURIComponent(task.name)}/resume`,
  },
  cancel: {
    label: "Cancel", done: (task, runId) => `Run ${runId} of ${task.name} is asked to stop.`,
    path: (task, runId) => `/runs/${runId}/cancel`,
    question: (task, runId) => ({
      title: `Cancel run ${runId} of ${task.name}?`,
      text: "It is stopped where it is, and ends as cancelled. The task keeps its schedule.",
      yes: "Cancel the run",
    }),
  },
};

export function label(kind) {
  return KINDS[kind].label;
}

/** The right that each kind of action takes. */
const NEEDS = { money: "money" };
const OPERATE = "operate";

/** Why an action can't be had now; null if it can. */
export function obstacle(kind) {
  if (state.link.state === "signed-out") return "Sign in first.";
  const session = state.session;
  if (session?.required && !session.signedIn) return "Sign in first.";
  const need = NEEDS[kind] ?? OPERATE;
  const isLacking = session?.signedIn && !session.scopes.some((scope) => scope === need || scope === "admin");
  return isLacking ? `Your token lacks the right ${need}.` : null;
}

/** Why something was refused, in words for whoever did it. */
export function refusal(problem) {
  if (problem.status === 401) return "You are signed out. Sign in to act.";
  return problem.message;
}

export async function act(kind, task, runId) {
  const { question, path, done } = KINDS[kind];
  if (question && !(await confirm(question(task, runId)))) return false;
  try {
    await ask("POST", path(task, runId));
    if (kind === "run") {
      task.dueSoon = true;
      touch("tasks");
    }
    tell(done(task, runId));
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    tell(refusal(problem), true);
    return false;
  }
}

/** Whether a button acts now. It stays in the keyboard's order: who comes to it hears why it does not. */
export function enable(button, kind) {
  const why = obstacle(kind);
  set(button, "aria-disabled", why ? "true" : null);
  set(button, "title", why);
  return why;
}
