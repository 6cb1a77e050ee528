// A long list of which only the rows in sight exist, whatever its length. The page scrolls; the
// list is as high as all of its rows, so that nothing jumps. Rows have one height at a time.

import { h, set, style } from "./dom.js";

const MARGIN_ROWS = 6;

export class WindowedList {
  /** make() gives an empty row; update(row, item) fills it; rowHeight() in pixels, by the width. */
  constructor({ label, make, update, rowHeight }) {
    this.node = h("ul", { class: "list windowed", "aria-label": label });
    this.make = make;
    this.update = update;
    this.rowHeight = rowHeight;
    this.items = [];
    this.rows = new Map(); // by place
    this.spare = [];
    this.isAsked = false;
    this.onscroll = () => this.ask();
  }

  /** Rows follow the page's scrolling from now on. */
  show() {
    addEventListener("scroll", this.onscroll, { passive: true });
    addEventListener("resize", this.onscroll);
    this.ask();
  }

  hide() {
    removeEventListener("scroll", this.onscroll);
    removeEventListener("resize", this.onscroll);
  }

  ask() {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.draw(this.items);
    });
  }

  draw(items) {
    this.items = items;
    const height = this.rowHeight();
    style(this.node, "height", `${items.length * height}px`);
    const top = this.node.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / height) - MARGIN_ROWS);
    const last = Math.min(items.length, Math.ceil((innerHeight - top) / height) + MARGIN_ROWS);
    for (const [place, row] of this.rows) {
      // A row that has the keyboard stays, or the keyboard would be lost with it.
      if ((place < first || place >= last) && !(row.contains(document.activeElement) && place < items.length)) this.drop(place);
    }
    for (let place = first; place < last; place++) this.put(place, items[place], height);
    for (const [place, row] of this.rows) if (place < first || place >= last) this.fill(row, place, items[place], height);
  }

  put(place, item, height) {
    let row = this.rows.get(place);
    if (!row) {
      row = this.spare.pop() ?? this.make();
      this.rows.set(place, row);
      const next = [...this.rows.entries()].filter(([other]) => other > place).sort((a, b) => a[0] - b[0])[0];
      this.node.insertBefore(row, next ? next[1] : null); // the keyboard goes in their order
    }
    this.fill(row, place, item, height);
  }

  fill(row, place, item, height) {
    style(row, "transform", `translateY(${place * height}px)`);
    style(row, "height", `${height}px`);
    set(row, "aria-setsize", this.items.length);
    set(row, "aria-posinset", place + 1);
    this.update(row, item);
  }

  drop(place) {
    const row = this.rows.get(place);
    this.rows.delete(place);
    row.remove();
    if (this.spare.length < 20) this.spare.push(row);
  }

  /** Fills the rows in sight again, as time goes on. */
  tick() {
    for (const [place, row] of this.rows) if (place < this.items.length) this.update(row, this.items[place]);
  }
}
