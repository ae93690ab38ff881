// Hours of the week: spans as they are kept, and as pieces of days that can be drawn and painted.

export const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
export type Day = (typeof DAYS)[number];

export interface Span {
  days: Day[];
  from: string;
  to: string;
}

/** A piece of one day, in minutes since its midnight; `to` is at most 1440. */
export interface Piece {
  from: number;
  to: number;
}

export type Week = Record<Day, Piece[]>;

export const MINUTES = 24 * 60;

export function minutes(clock: string): number {
  const [hours = 0, rest = 0] = clock.split(":").map(Number);
  return hours * 60 + rest;
}

export function clock(at: number): string {
  return `${String(Math.floor(at / 60)).padStart(2, "0")}:${String(at % 60).padStart(2, "0")}`;
}

/** What is open on each day; a span that ends before it begins goes on into the next day. */
export function weekOf(spans: readonly Span[]): Week {
  const week = Object.fromEntries(DAYS.map((day) => [day, [] as Piece[]])) as Week;
  for (const { days, from, to } of spans) {
    const [begin, end] = [minutes(from), minutes(to)];
    for (const day of days) {
      if (end > begin) week[day].push({ from: begin, to: end });
      else {
        week[day].push({ from: begin, to: MINUTES });
        if (end > 0) week[after(day)].push({ from: 0, to: end });
      }
    }
  }
  for (const day of DAYS) week[day] = joined(week[day]);
  return week;
}

function after(day: Day): Day {
  return DAYS[(DAYS.indexOf(day) + 1) % 7] ?? "mon";
}

function joined(pieces: Piece[]): Piece[] {
  const sorted = [...pieces].sort((a, b) => a.from - b.from);
  const found: Piece[] = [];
  for (const piece of sorted) {
    const before = found.at(-1);
    if (before && piece.from <= before.to) before.to = Math.max(before.to, piece.to);
    else found.push({ ...piece });
  }
  return found;
}

/** The fewest spans that say the same: days with the same hours are together. */
export function spansOf(week: Week): Span[] {
  const spans = new Map<string, Span>();
  for (const day of DAYS) {
    for (const { from, to } of week[day]) {
      const key = `${clock(from)}-${clock(to)}`;
      const span = spans.get(key) ?? { days: [], from: clock(from), to: clock(to) };
      span.days.push(day);
      spans.set(key, span);
    }
  }
  return [...spans.values()];
}

/** Open (or close) a piece of one day. */
export function painted(week: Week, day: Day, piece: Piece, open: boolean): Week {
  if (open) return { ...week, [day]: joined([...week[day], piece]) };
  const rest = week[day].flatMap(({ from, to }) =>
    [
      { from, to: Math.min(to, piece.from) },
      { from: Math.max(from, piece.to), to },
    ].filter((one) => one.from < one.to),
  );
  return { ...week, [day]: rest };
}

/** Whether a day is open at a minute. */
export function isOpen(week: Week, day: Day, at: number): boolean {
  return week[day].some(({ from, to }) => from <= at && at < to);
}

export function dayName(day: Day, style: "short" | "long" = "short"): string {
  const long = { mon: "Monday", tue: "Tuesday", wed: "Wednesday", thu: "Thursday", fri: "Friday" };
  const name = { ...long, sat: "Saturday", sun: "Sunday" }[day];
  return style === "long" ? name : name.slice(0, 3);
}
