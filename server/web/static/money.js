// The view of the money path: how much moves, in which batches, what is refused; accounts; the burst.

import { accountPanel } from "./account.js";
import { burstPanel } from "./burst.js";
import { Chart } from "./chart.js";
import { h, say } from "./dom.js";
import { compact } from "./format.js";
import { hearClock, state } from "./store.js";
import { exchange } from "./wire.js";

const SECONDS = 60;

export function create(root) {
  const moved = new Chart({ title: "Withdrawals", unit: "a second", tone: "running" });
  const batches = new Chart({ title: "Batch size", unit: "on average", tone: "succeeded", second: "Movements in a batch; dashed: the largest" });
  const refused = new Chart({ title: "Refusals", unit: "a second", tone: "failed" });
  const quiet = h("p", { class: "muted" });
  const account = accountPanel();
  let isAsking = false;
  root.append(h("div", { class: "money" },
    h("section", { class: "panel charts", "aria-labelledby": "h-pulse" }, h("header", null, h("h2", { id: "h-pulse" }, "The last minute, all nodes together"), quiet),
      h("div", { class: "three" }, moved.node, batches.node, refused.node)),
    burstPanel((id) => account.show(id)), account.node));

  async function read() {
    if (isAsking || state.link.state === "signed-out") return;
    isAsking = true;
    const { status, value, tookMilliseconds } = await exchange("GET", `/money/pulse?seconds=${SECONDS}`);
    isAsking = false;
    if (status !== 200) {
      say(quiet, "No figures can be had at the moment.");
      return;
    }
    hearClock(value.at, tookMilliseconds);
    const seconds = value.seconds;
    const last = seconds.at(-1);
    const sizes = seconds.map((one) => (one.batches ? one.movements / one.batches : 0));
    moved.draw(seconds.map((one) => one.withdrawals), compact(last.withdrawals));
    batches.draw(sizes, compact(sizes.at(-1)), seconds.map((one) => one.largestBatch));
    refused.draw(seconds.map((one) => one.refused), compact(last.refused));
    const total = seconds.reduce((sum, one) => sum + one.withdrawals, 0);
    say(quiet, total ? `${compact(total)} withdrawals in this minute` : "Nothing has moved in this minute.");
  }

  return {
    show: () => {
      read();
      account.begin();
    },
    hide: () => {},
    update: () => {},
    tick: () => !document.hidden && read(),
  };
}
