// Everything that goes over the network, away from the page's own thread: a long answer is
// read here and can't make the page stutter, and an answer such as 401 is an answer, not a fault.
//
// From the page   {kind: "ask", id, method, path, body, headers}
//                 {kind: "follow" | "rest" | "resume"}
// To the page     {kind: "answer", id, status, value, tookMilliseconds}; status 0 without one
//                 {kind: "link", state: "live" | "lost" | "signed-out", ...}
//                 {kind: "news", events}, gathered; {kind: "history", events}; {kind: "reset"}

import { Stream } from "./stream.js";

const GATHER_MILLISECONDS = 60; // a crowd of events is a message in so long; a lone event does not wait
const ASK_MILLISECONDS_MAX = 30_000;

let gathered = [];
let sending = null;
let sentAt = 0;

function send() {
  clearTimeout(sending);
  sending = null;
  sentAt = performance.now();
  const events = gathered;
  gathered = [];
  if (events.length) postMessage({ kind: "news", events });
}

const stream = new Stream((message) => {
  if (message.kind === "news") {
    gathered.push(message.event);
    sending ??= setTimeout(send, Math.max(0, sentAt + GATHER_MILLISECONDS - performance.now()));
    return;
  }
  send(); // order matters: what came before is told before
  postMessage(message);
});

async function ask({ id, method, path, body, headers }) {
  const began = performance.now();
  const answered = (status, value) => postMessage({ kind: "answer", id, status, value, tookMilliseconds: performance.now() - began });
  const sent = { Accept: "application/json", ...headers };
  if (method !== "GET") sent["X-Ringfence-Page"] = "1";
  if (body !== undefined) sent["Content-Type"] = "application/json";
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), ASK_MILLISECONDS_MAX);
  try {
    const answer = await fetch(path, {
      method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", signal: abort.signal,
    });
    const text = await answer.text();
    const isJson = (answer.headers.get("Content-Type") ?? "").includes("json");
    const value = isJson && text ? JSON.parse(text) : null;
    answered(answer.status, value);
  } catch {
    answered(0, null);
  } finally {
    clearTimeout(timer);
  }
}

onmessage = ({ data }) => {
  if (data.kind === "ask") ask(data);
  else if (data.kind === "follow") stream.run();
  else if (data.kind === "rest") stream.rest();
  else if (data.kind === "resume") stream.resume();
};
