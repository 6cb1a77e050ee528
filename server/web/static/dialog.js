// Dialogs: the browser's own, which keep the keyboard inside and give it back afterwards.

import { h } from "./dom.js";

/** What is told must be seen and heard: beside an open dialog the browser hides everything from both. */
function bringTold() {
  const open = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  for (const id of ["toasts", "live"]) {
    const node = document.getElementById(id);
    if (node.parentNode !== open) open.append(node);
  }
}

function open(dialog) {
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.removeAttribute("open");
    bringTold();
    dialog.remove();
  });
  // A click beside the dialog is a click on its backdrop.
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.showModal();
  bringTold();
  return dialog;
}

/** Asks once more. Resolves to whether it was confirmed. */
export function confirm({ title, text, yes }) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "small", "aria-labelledby": "confirm-title" });
    const no = h("button", { type: "button", onclick: () => dialog.close() }, "Keep as it is");
    dialog.append(
      h("form", { method: "dialog" },
        h("h2", { id: "confirm-title" }, title),
        h("p", null, text),
        h("footer", null, no, h("button", { type: "submit", value: "yes", class: "hurts" }, yes))),
    );
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    open(dialog);
    no.focus(); // Enter by mistake does nothing
  });
}

/** Shows details; `render(body)` fills it. Returns the dialog. */
export function details(title, render) {
  const body = h("div", { class: "details" });
  const dialog = h("dialog", { "aria-label": title }, h("div", null,
    h("header", null, h("h2", null, title),
      h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => dialog.close() }, "Close")),
    body));
  render(body);
  return open(dialog);
}

/** A dialog with a form of its own. */
export function form(title, build) {
  const dialog = h("dialog", { class: "small", "aria-label": title });
  dialog.append(build(dialog));
  return open(dialog);
}

export function facts(pairs) {
  return h("dl", { class: "facts" },
    pairs.filter(([, value]) => value !== null && value !== undefined && value !== "")
      .flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
}
