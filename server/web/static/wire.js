// The page's side of the worker: ask, and get an answer or a problem.

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
const waiting = new Map();
let serial = 0;
let hear = () => {};

/** What was asked can't be had. status 0: nobody answered. */
export class Problem extends Error {
  constructor(status, document) {
    super(document?.detail ?? (status ? `The answer was ${status}.` : "No instance answered."));
    this.status = status;
    this.code = document?.code ?? "unanswered";
    this.document = document ?? {};
  }
}

worker.onmessage = ({ data }) => {
  if (data.kind !== "answer") {
    hear(data);
    return;
  }
  const settle = waiting.get(data.id);
  waiting.delete(data.id);
  settle(data);
};

/** The whole answer: {status, value, tookMilliseconds}. */
export function exchange(method, path, body, headers) {
  return new Promise((resolve) => {
    waiting.set(++serial, resolve);
    worker.postMessage({ kind: "ask", id: serial, method, path, body, headers });
  });
}

/** The value of a good answer; raises Problem for another one. */
export async function ask(method, path, body, headers) {
  const answer = await exchange(method, path, body, headers);
  if (answer.status >= 200 && answer.status < 300) return answer.value;
  if (answer.status === 401 && path !== "/session") hear({ kind: "link", state: "signed-out" });
  throw new Problem(answer.status, answer.value);
}

export function get(path) {
  return ask("GET", path);
}

/** Begins to follow the events; listener(message) gets what worker.js tells. */
export function follow(listener) {
  hear = listener;
  worker.postMessage({ kind: "follow" });
}

export function rest() {
  worker.postMessage({ kind: "rest" });
}

export function resume() {
  worker.postMessage({ kind: "resume" });
}
