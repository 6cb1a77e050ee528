// The burst: a fresh account of 10,000, and 10,000 withdrawals of 2, in lists that travel side by
// side to whichever instances answer. Exactly 5,000 can succeed; the page counts what did.

import { obstacle, refusal } from "./actions.js";
import { Chart } from "./chart.js";
import { announce, clear, h, say, set, style, tell } from "./dom.js";
import { count, duration, number } from "./format.js";
import { ask, get, Problem } from "./wire.js";

const BALANCE = 10_000;
const AMOUNT = 2;
const LISTS = 200;
const SIZE = 50;
const SIDE_BY_SIDE = 4;
const TRIES_MAX = 8;
const PAUSE_MILLISECONDS = 300;

/** One list; repeated with the same key while it has no outcome, so that it counts once. */
async function withdraw(userId, key) {
  const withdrawals = Array.from({ length: SIZE }, () => ({ userId, amount: AMOUNT }));
  for (let left = TRIES_MAX; ; left--) {
    try {
      return (await ask("POST", "/withdrawals", { withdrawals }, { "Idempotency-Key": key })).results;
    } catch (problem) {
      const mayBeRepeated = problem instanceof Problem && (problem.status === 0 || problem.status === 503 || problem.code === "idempotency_conflict");
      if (!mayBeRepeated || left <= 1) throw problem;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    }
  }
}

function meter(title, tone) {
  const fill = h("i");
  const words = h("span", { class: "muted" });
  const bar = h("div", { class: "bar", role: "meter", "aria-label": title, "aria-valuemin": "0", "aria-valuemax": String(LISTS * SIZE) }, fill);
  style(fill, "background", `var(--${tone})`);
  return {
    node: h("div", { class: "meter" }, h("div", { class: "line" }, h("span", null, title), words), bar),
    show: (value) => {
      say(words, number(value));
      set(bar, "aria-valuenow", value);
      style(fill, "transform", `scaleX(${(value / (LISTS * SIZE)).toFixed(4)})`);
    },
  };
}

export function burstPanel(opened) {
  const succeeded = meter("Succeeded", "succeeded");
  const refused = meter("Refused for insufficient funds", "failed");
  const chart = new Chart({ title: "Balance", unit: "left", tone: "running", from: "start", to: "end", isFalling: true });
  const verdict = h("div", { class: "verdict" });
  const drawing = h("div", { class: "drawing", hidden: true }, chart.node, succeeded.node, refused.node, verdict);
  const button = h("button", { type: "button", class: "main" }, "Run the burst");
  const node = h("section", { class: "panel", "aria-labelledby": "h-burst" },
    h("header", null, h("h2", { id: "h-burst" }, "Burst"), button),
    h("p", { class: "muted" }, `Opens a fresh account with ${number(BALANCE)} and sends ${number(LISTS * SIZE)} withdrawals of ${AMOUNT}, in lists of ${SIZE}. Exactly ${number(BALANCE / AMOUNT)} can succeed; no other account is touched.`),
    drawing);

  async function run() {
    const { id } = await ask("POST", "/users", { balance: BALANCE });
    const seen = { good: 0, bad: 0, other: 0, balances: [BALANCE] };
    const keys = Array.from({ length: LISTS }, () => crypto.randomUUID());
    const began = performance.now();
    drawing.hidden = false;
    clear(verdict);
    let isDrawing = false;
    const draw = () => {
      if (isDrawing) return;
      isDrawing = true;
      requestAnimationFrame(() => {
        isDrawing = false;
        succeeded.show(seen.good);
        refused.show(seen.bad);
        chart.draw(seen.balances, number(seen.balances.at(-1)));
      });
    };
    const worker = async () => {
      for (let key = keys.pop(); key; key = keys.pop()) {
        const results = await withdraw(id, key);
        // Lists are answered in another order than they were counted in; a balance that only falls is drawn so.
        let lowest = seen.balances.at(-1);
        for (const result of results) {
          if (result.status === 200) seen.good += 1;
          else if (result.code === "insufficient_funds") seen.bad += 1;
          else seen.other += 1;
          if (result.balance !== undefined) lowest = Math.min(lowest, result.balance);
        }
        seen.balances.push(lowest);
        draw();
      }
    };
    draw();
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
    const seconds = (performance.now() - began) / 1000;
    const { balance } = await get(`/users/${id}`);
    seen.balances.push(balance);
    draw();
    const isExact = seen.good === BALANCE / AMOUNT && seen.bad === LISTS * SIZE - seen.good && balance === 0;
    const words = isExact
      ? `Exact: ${number(seen.good)} succeeded, ${number(seen.bad)} were refused, and the balance is 0.`
      : `Not exact: ${number(seen.good)} succeeded, ${number(seen.bad)} were refused, ${number(seen.other)} came to something else, and the balance is ${number(balance)}.`;
    verdict.append(h("p", { class: "mark", "data-status": isExact ? "succeeded" : "failed" }, words),
      h("p", { class: "muted" }, `Account ${id}, ${duration(seconds)}, ${count(Math.round((LISTS * SIZE) / seconds), "withdrawal")} a second through this browser.`));
    announce(words);
    opened(id);
  }

  button.addEventListener("click", async () => {
    const why = obstacle("money");
    if (why) {
      tell(why, true);
      return;
    }
    button.disabled = true;
    say(button, "Running…");
    try {
      await run();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      tell(refusal(problem), true);
    } finally {
      button.disabled = false;
      say(button, "Run the burst");
    }
  });
  return node;
}
