// Who is in the meeting: the picture that the server sends, and what of its changes is worth saying aloud.

import type { Quality } from "./quality";

export type Role = "host" | "guest";

export interface Person {
  id: string;
  name: string;
  role: Role;
  state: "prompt" | "lobby" | "in";
  muted: boolean;
  hand: boolean;
  talking: boolean;
  via: "phone" | "browser";
  quality: Quality | null;
}

export interface You {
  /** Ours among the participants; "" while we are not in the meeting. */
  id: string;
  role: Role;
  state: "outside" | "prompt" | "lobby" | "in";
  muted: boolean;
  hand: boolean;
  /** What ended our last call, if not we: "removed", "refused", "locked", "ended" or "". */
  why: string;
}

export interface Picture {
  you: You;
  locked: boolean;
  participants: Person[];
  /** Who waits in the lobby; only hosts are told. */
  waiting: Person[];
}

const OUTSIDE: You = { id: "", role: "guest", state: "outside", muted: false, hand: false, why: "" };
export const EMPTY: Picture = { you: OUTSIDE, locked: false, participants: [], waiting: [] };

type Loose = Record<string, unknown>;

function isObject(value: unknown): value is Loose {
  return typeof value === "object" && value !== null;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function number(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function direction(value: unknown) {
  const from = isObject(value) ? value : {};
  return { lost_percent: number(from.lost_percent), jitter_ms: number(from.jitter_ms) };
}

function person(value: unknown): Person {
  const from = isObject(value) ? value : {};
  const quality = isObject(from.quality) ? from.quality : null;
  return {
    id: text(from.id),
    name: text(from.name) || text(from.number) || "Somebody",
    role: from.role === "host" ? "host" : "guest",
    state: from.state === "lobby" || from.state === "prompt" ? from.state : "in",
    muted: from.muted === true,
    hand: from.hand === true,
    talking: from.talking === true,
    via: from.via === "browser" ? "browser" : "phone",
    quality: quality && {
      received: direction(quality.received),
      sent: direction(quality.sent),
      round_trip_ms: number(quality.round_trip_ms),
    },
  };
}

const STATES: readonly unknown[] = ["prompt", "lobby", "in"];

function you(value: unknown): You {
  const from = isObject(value) ? value : {};
  return {
    id: text(from.id),
    role: from.role === "host" ? "host" : "guest",
    state: STATES.includes(from.state) ? (from.state as You["state"]) : "outside",
    muted: from.muted === true,
    hand: from.hand === true,
    why: text(from.why),
  };
}

/** The picture from a "state" event; whatever is missing or odd is left out. */
export function pictureOf(value: unknown): Picture {
  const from = isObject(value) ? value : {};
  const list = (items: unknown) => (Array.isArray(items) ? items.map(person).filter((one) => one.id) : []);
  return {
    you: you(from.you),
    locked: from.locked === true,
    participants: list(from.participants),
    waiting: list(from.waiting),
  };
}

/** Who is in the room: us first, then raised hands, hosts, the others in the order they came. */
export function present(picture: Picture): Person[] {
  const weight = (one: Person) =>
    one.id === picture.you.id ? 0 : one.hand ? 1 : one.role === "host" ? 2 : 3;
  return picture.participants
    .filter((one) => one.state === "in")
    .map((one, index) => ({ one, index }))
    .sort((a, b) => weight(a.one) - weight(b.one) || a.index - b.index)
    .map(({ one }) => one);
}

/** "A", "A and B", "A, B and 3 others". */
export function names(people: Person[]): string {
  const [first, second, ...rest] = people.map((one) => one.name);
  if (first === undefined) return "";
  if (second === undefined) return first;
  if (!rest.length) return `${first} and ${second}`;
  return `${first}, ${second} and ${rest.length} other${rest.length > 1 ? "s" : ""}`;
}

/** What changed that a listener who does not look should be told; nothing for the first picture. */
export function announcements(before: Picture | null, after: Picture): string[] {
  if (before === null) return [];
  const said: string[] = [];
  const wasIn = new Map(present(before).map((one) => [one.id, one]));
  const isIn = new Map(present(after).map((one) => [one.id, one]));
  if (after.you.state === "in" && before.you.state === "lobby") said.push("The host let you in.");
  if (after.you.state === "in" && before.you.state === "in") {
    const others = (from: Map<string, Person>, to: Map<string, Person>) =>
      [...from.values()].filter((one) => !to.has(one.id) && one.id !== after.you.id);
    const came = others(isIn, wasIn);
    const left = others(wasIn, isIn);
    if (came.length) said.push(`${names(came)} joined.`);
    if (left.length) said.push(`${names(left)} left.`);
  }
  for (const one of isIn.values()) {
    const was = wasIn.get(one.id);
    if (was && one.hand && !was.hand && one.id !== after.you.id) said.push(`${one.name} raised a hand.`);
  }
  const wasWaiting = new Set(before.waiting.map((one) => one.id));
  const newly = after.waiting.filter((one) => !wasWaiting.has(one.id));
  if (newly.length) said.push(`${names(newly)} ${newly.length > 1 ? "wait" : "waits"} in the lobby.`);
  if (after.locked !== before.locked) {
    said.push(after.locked ? "The meeting is locked now." : "The meeting is open again.");
  }
  return said;
}
