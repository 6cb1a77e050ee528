// Numbers, durations and moments in words. Pure, but for the zone that the reader has chosen.

let zone;

/** "UTC", or undefined for the zone of the reader's system. */
export function chooseZone(name) {
  zone = name;
  clocks.clear();
}

const clocks = new Map();

function clock(kind, options) {
  let found = clocks.get(kind);
  if (!found) {
    found = new Intl.DateTimeFormat(undefined, { hourCycle: "h23", timeZone: zone, ...options });
    clocks.set(kind, found);
  }
  return found;
}

const DAY_MILLISECONDS = 86_400_000;

/** A moment of the day, with the date when it is not within a day of now. */
export function moment(text, now = Date.now()) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return "";
  const time = clock("time", { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(at);
  if (Math.abs(now - at) < DAY_MILLISECONDS / 2) return time;
  return `${clock("day", { day: "numeric", month: "short" }).format(at)}, ${time}`;
}

export function hourAndMinute(at) {
  return clock("short", { hour: "2-digit", minute: "2-digit" }).format(at);
}

/** The whole moment, with its zone: for those who want to know exactly. */
export function exactly(text) {
  const at = Date.parse(text);
  if (Number.isNaN(at)) return "";
  return clock("full", {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
    timeZoneName: "short",
  }).format(at);
}

function two(number) {
  return String(number).padStart(2, "0");
}

/** How long, in the two largest units that say something. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  if (seconds < 0) return duration(-seconds);
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  return whole(seconds);
}

/** The same in whole seconds, for what ticks. */
export function whole(seconds) {
  const all = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60];
  if (days) return `${days} d ${two(hours)} h`;
  if (hours) return `${hours} h ${two(minutes)} min`;
  if (minutes) return `${minutes} min ${two(all % 60)} s`;
  return `${all} s`;
}

export function countdown(seconds) {
  if (seconds < -1) return `due ${whole(-seconds)} ago`;
  return seconds < 1 ? "due now" : `in ${whole(seconds)}`;
}

const plain = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function number(value) {
  return plain.format(value);
}

export function compact(value) {
  return value < 10_000 ? plain.format(Math.round(value * 10) / 10) : short.format(value);
}

export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** Progress from 0 to 1, or null where the job does not tell. */
export function fraction(progress) {
  if (!progress || !(progress.total > 0) || typeof progress.done !== "number") return null;
  return Math.min(1, Math.max(0, progress.done / progress.total));
}

/** How long a run may still take: by its progress, or else by how long the last ones took. */
export function remaining(progress, elapsedSeconds, durations) {
  const part = fraction(progress);
  if (part !== null && part > 0.02) return (elapsedSeconds / part) * (1 - part);
  if (!durations?.length) return null;
  const sorted = [...durations].sort((a, b) => a - b);
  const left = sorted[Math.floor(sorted.length / 2)] - elapsedSeconds;
  return left > 0 ? left : null;
}

export function percent(part) {
  return `${Math.floor(part * 100)} %`;
}

/** The beginning of a sentence. */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const WORDS = { timed_out: "timed out" };

export function words(status) {
  return WORDS[status] ?? status;
}
