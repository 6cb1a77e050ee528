// A small chart of the last seconds: an area, its newest figure in words, and its highest.

import { h, s, say, set } from "./dom.js";
import { compact } from "./format.js";

const HEIGHT = 100;

function path(values, most) {
  const step = HEIGHT / most;
  return values.map((value, index) => `${index ? "L" : "M"}${index} ${(HEIGHT - value * step).toFixed(2)}`).join("");
}

/** A round number that is not below the highest. */
function ceiling(value) {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((round) => round >= value);
}

export class Chart {
  /** tone: the name of a status, whose colour it takes. isFalling: it begins high, so its highest is named at the right. */
  constructor({ title, unit, tone, second, from = "60 s ago", to = "now", isFalling = false }) {
    this.title = title;
    this.unit = unit;
    this.figure = h("p", { class: "figure" });
    this.most = h("span", { class: isFalling ? "most falling" : "most" });
    this.area = s("path", { class: "area" });
    this.line = s("path", { class: "line" });
    this.other = second ? s("path", { class: "line second" }) : null;
    this.svg = s("svg", { preserveAspectRatio: "none", role: "img", "aria-label": `${title}: no figures yet` }, s("path", { class: "grid", d: "" }), this.area, this.line, this.other ?? "");
    this.node = h("figure", { class: "chart", "data-status": tone },
      h("figcaption", null, h("h3", null, title), this.figure), h("div", { class: "plot" }, this.svg, this.most),
      h("div", { class: "axis" }, h("span", null, from), h("span", null, to)),
      second ? h("p", { class: "axis" }, second) : "");
  }

  draw(values, words, others = null) {
    const last = Math.max(1, values.length - 1);
    const highest = ceiling(Math.max(...values, ...(others ?? []), 0));
    set(this.svg, "viewBox", `0 0 ${last} ${HEIGHT}`);
    set(this.svg.firstChild, "d", `M0 ${HEIGHT}H${last}M0 ${HEIGHT / 2}H${last}M0 0H${last}`);
    const line = path(values, highest);
    set(this.line, "d", line);
    set(this.area, "d", values.length ? `${line}L${last} ${HEIGHT}L0 ${HEIGHT}Z` : "");
    if (this.other && others) set(this.other, "d", path(others, highest));
    say(this.figure, words);
    this.figure.append(h("small", null, ` ${this.unit}`));
    say(this.most, compact(highest));
    set(this.svg, "aria-label", `${this.title}: now ${words} ${this.unit}; at most ${compact(Math.max(...values, 0))} in this time`);
  }
}
