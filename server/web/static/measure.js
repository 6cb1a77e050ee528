// How long a text is, measured beside the page, so that the browser lays nothing out for it.

const pen = document.createElement("canvas").getContext("2d");
const lengths = new Map(); // "pixels text" -> pixels; names of tasks alone, so it stays small
const KEPT_MAX = 5000;

function lengthOf(text, size) {
  const key = `${size} ${text}`;
  if (!lengths.has(key)) {
    if (lengths.size >= KEPT_MAX) lengths.clear();
    pen.font = `500 ${size}px ${getComputedStyle(document.body).fontFamily}`;
    lengths.set(key, pen.measureText(text).width);
  }
  return lengths.get(key);
}

/** As much of a text as fits into so many pixels, in letters of that size. */
export function fitted(text, pixels, size) {
  const length = lengthOf(text, size);
  return length <= pixels ? text : `${text.slice(0, Math.max(1, Math.floor((text.length * pixels) / length) - 2))}…`;
}
