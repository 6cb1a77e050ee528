// Making and changing elements. Text goes in as text alone: nothing that a job, a person or a
// host is called can become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
  return node;
}

/** An element of HTML: h("p", {class: "muted"}, "text", child). */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An element of SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** A text whose names of nodes, such as node-1, are not broken over two lines. */
export function unbroken(text) {
  return text.split(/(\w+(?:-\w+)*-\d+)/).map((part, index) => (index % 2 ? h("span", { class: "whole" }, part) : part));
}

/** Sets a text only if it is another one: an unchanged text costs no layout. */
export function say(node, text) {
  const value = text === undefined || text === null ? "" : String(text);
  if (node.textContent !== value) node.textContent = value;
}

/** The same for an attribute; null takes it away. */
export function set(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/** The same for a property of style, which the page's policy allows from scripts alone. */
export function style(node, name, value) {
  if (node.style.getPropertyValue(name) !== value) node.style.setProperty(name, value);
}

/**
 * Keeps one element for each key, in the order of the items, and makes and removes no more than it must.
 * `kept` is a Map that belongs to this parent.
 */
export function keyed(parent, kept, items, { key, make, update }) {
  const seen = new Set();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    seen.add(name);
    let node = kept.get(name);
    if (!node) {
      node = make(item);
      kept.set(name, node);
    }
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
    update(node, item);
  }
  for (const [name, node] of kept) {
    if (!seen.has(name)) {
      kept.delete(name);
      node.remove();
    }
  }
}

export function clear(node) {
  node.replaceChildren();
  return node;
}

let said = 0;

/** Tells a screen reader something without moving its place. */
export function announce(text) {
  const region = document.getElementById("live");
  // The same words twice are said twice.
  region.textContent = said++ % 2 ? text : `${text} `;
}

const TOAST_MILLISECONDS = 6000;
const TOASTS_MAX = 4;

/** Tells the result of something that somebody did, to eyes and ears. */
export function tell(text, isBad = false) {
  announce(text);
  const toasts = document.getElementById("toasts");
  const toast = h("p", { class: isBad ? "toast bad" : "toast" }, text);
  toasts.append(toast);
  while (toasts.children.length > TOASTS_MAX) toasts.firstChild.remove();
  setTimeout(() => toast.remove(), TOAST_MILLISECONDS);
}
