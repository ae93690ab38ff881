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

export interface Picture {
  /** Our own id once the call is there. */
  you: string;
  locked: boolean;
  participants: Person[];
  /** Who waits in the lobby; only hosts are told. */
  waiting: Person[];
}

export const EMPTY: Picture = { you: "", locked: false, participants: [], waiting: [] };

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

/** The picture from a "state" event; whatever is missing or odd is left out. */
export function pictureOf(value: unknown): Picture {
  const from = isObject(value) ? value : {};
  const list = (items: unknown) => (Array.isArray(items) ? items.map(person).filter((one) => one.id) : []);
  const participants = list(from.participants);
  const you = isObject(from.you) ? text(from.you.id) : text(from.you);
  if (isObject(from.you) && you && !participants.some((one) => one.id === you)) {
    participants.push(person(from.you));
  }
  return { you, locked: from.locked === true, participants, waiting: list(from.waiting) };
}

/** Our own entry; undefined while the server does not list us. */
export function self(picture: Picture): Person | undefined {
  return picture.participants.find((one) => one.id === picture.you);
}

/** Who is in the room: us first, then raised hands, hosts, the others in the order they came. */
export function present(picture: Picture): Person[] {
  const weight = (one: Person) => (one.id === picture.you ? 0 : one.hand ? 1 : one.role === "host" ? 2 : 3);
  return picture.participants
    .filter((one) => one.state === "in")
    .map((one, index) => ({ one, index }))
    .sort((a, b) => weight(a.one) - weight(b.one) || a.index - b.index)
    .map(({ one }) => one);
}

/** Who waits, wherever the server put them. */
export function waiting(picture: Picture): Person[] {
  const inList = picture.participants.filter((one) => one.state === "lobby" && one.id !== picture.you);
  const known = new Set(picture.waiting.map((one) => one.id));
  return [...picture.waiting, ...inList.filter((one) => !known.has(one.id))];
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
  const mine = self(after);
  const wasMine = self(before);
  if (mine?.state === "in" && wasMine?.state === "lobby") said.push("The host let you in.");
  if (mine?.state === "in" && wasMine?.state === "in") {
    const others = (from: Map<string, Person>, to: Map<string, Person>) =>
      [...from.values()].filter((one) => !to.has(one.id) && one.id !== after.you);
    const came = others(isIn, wasIn);
    const left = others(wasIn, isIn);
    if (came.length) said.push(`${names(came)} joined.`);
    if (left.length) said.push(`${names(left)} left.`);
  }
  for (const one of isIn.values()) {
    const was = wasIn.get(one.id);
    if (was && one.hand && !was.hand && one.id !== after.you) said.push(`${one.name} raised a hand.`);
  }
  const wasWaiting = new Set(waiting(before).map((one) => one.id));
  const newly = waiting(after).filter((one) => !wasWaiting.has(one.id));
  if (newly.length) said.push(`${names(newly)} ${newly.length > 1 ? "wait" : "waits"} in the lobby.`);
  if (after.locked !== before.locked) {
    said.push(after.locked ? "The meeting is locked now." : "The meeting is open again.");
  }
  return said;
}
