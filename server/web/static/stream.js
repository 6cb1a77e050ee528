// GET /events in the worker: read, and taken up again where it was whenever it ends.
//
// The place is the id of the last event that came. Whoever answers next, any instance
// behind the same address, goes on from there; so the death of an instance costs a
// moment, and no event.

const SILENCE_MILLISECONDS_MAX = 25_000; // the server sends a sign of life every 10 s
const PAUSE_MILLISECONDS = 150;
const PAUSE_MILLISECONDS_MAX = 5_000;
const HISTORY_EVENTS = 300;
const HISTORY_MILLISECONDS_MAX = 4_000;

/** Takes a stream apart as its chunks come; calls take(block) with {id, event, data}. */
export class Parser {
  constructor(take) {
    this.take = take;
    this.rest = "";
  }

  feed(text) {
    const blocks = (this.rest + text).split("\n\n");
    this.rest = blocks.pop();
    for (const block of blocks) {
      const found = {};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(":");
        if (colon > 0) found[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
      }
      this.take(found);
    }
  }
}

/** Reads one answer to its end; take(block) may return true to end it before. */
async function read(answer, abort, take) {
  let watchdog;
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => abort.abort(), SILENCE_MILLISECONDS_MAX);
  };
  let isEnough = false;
  const parser = new Parser((block) => {
    isEnough = take(block) || isEnough;
  });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      alive();
      const { value, done } = await reader.read();
      if (done) return;
      parser.feed(value);
      if (isEnough) return;
    }
  } finally {
    clearTimeout(watchdog);
    abort.abort();
  }
}

/** What `link` and `news` are told is said in worker.js. */
export class Stream {
  constructor(tell) {
    this.tell = tell;
    this.place = null;
    this.isResting = false;
    this.wake = () => {};
  }

  /** Lets go of the connection: a page that nobody sees needs none, and keeps its place. */
  rest() {
    this.isResting = true;
    this.abort?.abort();
  }

  /** Goes on at once, after a rest, a sign-in, or while it waits to try again. */
  resume() {
    this.isResting = false;
    this.wake();
  }

  async run() {
    let attempt = 0;
    for (;;) {
      if (this.isResting) {
        this.isLive = false;
        await this.pause(null);
      }
      const outcome = await this.follow(attempt);
      if (outcome === "signed-out") {
        this.tell({ kind: "link", state: "signed-out" });
        await this.pause(null);
        attempt = 0;
      } else if (!this.isResting) {
        this.isLive = false;
        attempt = outcome === "ended" ? 1 : attempt + 1;
        this.tell({ kind: "link", state: "lost", attempt });
        const longest = Math.min(PAUSE_MILLISECONDS_MAX, PAUSE_MILLISECONDS * 2 ** (attempt - 1));
        // By chance, so that all pages of a dead instance don't come back in one moment.
        await this.pause(longest * (0.5 + Math.random() / 2));
      }
    }
  }

  pause(milliseconds) {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (milliseconds !== null) setTimeout(resolve, milliseconds);
    });
  }

  async follow(attempt) {
    const abort = (this.abort = new AbortController());
    let isOpen = false;
    try {
      const headers = { Accept: "text/event-stream" };
      if (this.place !== null) headers["Last-Event-ID"] = String(this.place);
      const timer = setTimeout(() => abort.abort(), SILENCE_MILLISECONDS_MAX);
      const answer = await fetch("/events", { headers, cache: "no-store", signal: abort.signal });
      clearTimeout(timer);
      if (answer.status === 401 || answer.status === 403) return "signed-out";
      if (!answer.ok) return "failed";
      isOpen = true;
      await read(answer, abort, (block) => this.take(block, attempt));
    } catch {
      // The connection broke, or there was none: what to do about it is the same.
    }
    return isOpen ? "ended" : "failed";
  }

  take(block, attempt) {
    if (block.id !== undefined) {
      const isFirst = this.place === null;
      this.place = Number(block.id);
      if (isFirst || !this.isLive) {
        this.isLive = true;
        this.tell({ kind: "link", state: "live", place: this.place, isFirst, attempt });
      }
      if (isFirst) this.recall(this.place);
    }
    if (block.event === "reset") this.tell({ kind: "reset" });
    else if (block.data !== undefined) this.tell({ kind: "news", event: JSON.parse(block.data) });
    return false;
  }

  /** What happened shortly before the page was opened. */
  async recall(place) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), HISTORY_MILLISECONDS_MAX);
    const found = [];
    try {
      const since = Math.max(0, place - HISTORY_EVENTS);
      const answer = await fetch(`/events?since=${since}`, { cache: "no-store", signal: abort.signal });
      if (answer.ok) {
        await read(answer, abort, (block) => {
          if (block.data && block.event !== "progress" && block.event !== "reset") found.push(JSON.parse(block.data));
          return block.event === "reset" || Number(block.id) >= place;
        });
      }
    } catch {
      // Without it the list of events begins with what happens from now on.
    }
    clearTimeout(timer);
    this.tell({ kind: "history", events: found.filter((event) => event.id <= place) });
  }
}
