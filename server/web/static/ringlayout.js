// Where everything lies on the ring. Pure: names in, places out. The middle is at 0, 0.

export const ARC_RADIUS = 300;
export const RUN_RADIUS = 236;
export const TASK_RADIUS = 346;
const FINGERS_MAX = 24; // so many marks of 34 fit around the ring
const TOP = -Math.PI / 2;
const TURN = 2 * Math.PI;

export function at(radius, angle) {
  return { x: radius * Math.cos(angle), y: radius * Math.sin(angle) };
}

/** How large a task's mark is when there are so many. On a small ring a few are larger: for a finger. */
export function sizeOf(count, isNarrow) {
  if (isNarrow && count <= FINGERS_MAX) return 24;
  if (count <= 40) return 13;
  if (count <= 150) return 8;
  return count <= 500 ? 6 : 4.2;
}

/** Equal arcs for all nodes, with a gap between them: {name, from, to, middle}. */
export function arcs(names) {
  const step = TURN / Math.max(1, names.length);
  const gap = names.length > 1 ? Math.min(0.05, step * 0.16) : 0.02;
  return names.map((name, index) => {
    const from = TOP + index * step + gap / 2;
    const to = TOP + (index + 1) * step - gap / 2;
    return { name, from, to, middle: (from + to) / 2 };
  });
}

/** Places for so many marks outside an arc: along it, in as many rows as it takes. */
export function spread(arc, count, radius, size) {
  const width = arc.to - arc.from;
  const places = [];
  let row = 0;
  let left = count;
  while (left > 0) {
    const r = radius + row * size * 2.35;
    const fits = Math.max(1, Math.floor((width * r) / (size * 2.3)));
    const here = Math.min(left, fits);
    for (let index = 0; index < here; index++) {
      places.push({ ...at(r, arc.from + (width * (index + 0.5)) / here), angle: arc.from + (width * (index + 0.5)) / here });
    }
    left -= here;
    row += 1;
  }
  return places;
}

/** The path of an arc from one angle to another. */
export function arcPath(radius, from, to) {
  const [start, end] = [at(radius, from), at(radius, Math.min(to, from + TURN - 0.001))];
  const large = to - from > Math.PI ? 1 : 0;
  return `M${start.x.toFixed(1)} ${start.y.toFixed(1)}A${radius} ${radius} 0 ${large} 1 ${end.x.toFixed(1)} ${end.y.toFixed(1)}`;
}

/** A line from a task to the node that runs it, bent towards the middle. */
export function bend(from, to) {
  return `M${from.x.toFixed(1)} ${from.y.toFixed(1)}Q${(from.x + to.x) * 0.2} ${(from.y + to.y) * 0.2} ${to.x.toFixed(1)} ${to.y.toFixed(1)}`;
}

/** Every task's place: name -> {x, y, angle}; those without an owner wait in the middle. */
export function placeTasks(nodeArcs, owned, orphans, size) {
  const places = new Map();
  for (const arc of nodeArcs) {
    const names = owned.get(arc.name) ?? [];
    spread(arc, names.length, TASK_RADIUS, size).forEach((place, index) => places.set(names[index], place));
  }
  const radius = Math.min(120, 60 + orphans.length);
  orphans.forEach((name, index) => {
    const angle = TOP + (TURN * index) / orphans.length;
    places.set(name, { ...at(radius, angle), angle });
  });
  return places;
}
