// Why a task is where it is, beside the task that is pointed at.

import { clear, h, unbroken } from "./dom.js";
import { capital, count, percent, fraction, whole, words } from "./format.js";
import { state } from "./store.js";
import { shareWords } from "./taskdialog.js";
import { elapsed, nextWords, standing } from "./taskrow.js";
import { get } from "./wire.js";

const WAIT_MILLISECONDS = 140; // who only passes over asks nothing

export class Tip {
  constructor(box) {
    this.box = box;
    this.node = h("div", { class: "tip", id: "ring-tip", role: "tooltip", hidden: true });
    box.append(this.node);
    this.timer = null;
    this.shown = null;
  }

  hide() {
    clearTimeout(this.timer);
    this.shown = null;
    this.node.hidden = true;
  }

  place(mark) {
    const [box, target] = [this.box.getBoundingClientRect(), mark.getBoundingClientRect()];
    const width = this.node.offsetWidth;
    const left = Math.min(Math.max(0, target.left - box.left + target.width / 2 - width / 2), Math.max(0, box.width - width));
    const isLow = target.top - box.top > box.height / 2;
    this.node.style.left = `${left}px`;
    const top = isLow ? target.top - box.top - this.node.offsetHeight - 8 : target.bottom - box.top + 8;
    this.node.style.top = `${Math.max(0, top)}px`;
  }

  show(name, mark, lines) {
    this.shown = name;
    clear(this.node).append(...lines);
    this.node.hidden = false;
    this.place(mark);
  }

  /** A task: what is known at once, then the reason, which is asked for. */
  task(name, mark) {
    const task = state.tasks.get(name);
    if (!task) return;
    const why = h("p", { class: "muted" }, "Why it is here…");
    const run = task.running;
    const part = fraction(run?.progress);
    this.show(name, mark, [
      h("strong", null, name),
      h("p", null, `${capital(task.schedule)}. ${task.owner ? `Owned by ${task.owner}.` : "Nobody owns it."}`),
      h("p", null, run
        ? `Runs on ${run.node} for ${whole(elapsed(run))}${part === null ? "" : `, ${percent(part)} done`}.`
        : `${nextWords(task)}. ${standing(task) === "idle" ? "" : `Last run ${words(task.lastRun?.status ?? standing(task))}.`}`),
      why,
    ]);
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const found = await get(`/tasks/${encodeURIComponent(name)}/placement`).catch((problem) => problem);
      if (this.shown !== name) return;
      clear(why).append(...unbroken(found instanceof Error ? found.message : `${shareWords(found)} ${found.reason}`));
      this.place(mark);
    }, WAIT_MILLISECONDS);
  }

  node_(name, mark) {
    const node = state.nodes.get(name);
    if (!node) return;
    this.show(`node ${name}`, mark, [
      h("strong", null, name),
      h("p", null, `${node.state} on ${node.host}, process ${node.pid}.`),
      h("p", null, `Owns ${count(node.owns.length, "task")}, runs ${node.runs.length}. ${node.state === "dead" ? "Its lease is gone." : `Its lease lasts ${node.leaseSeconds.toFixed(0)} s more.`}`),
    ]);
  }
}
