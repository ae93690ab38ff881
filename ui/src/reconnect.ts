// Keeps a call up: a state machine, without clock or network, that says when to try again and when to give up.

import type { Trouble } from "./trouble";

export type Link =
  /** A call is being set up; `attempt` 0 is the person's own Join. */
  | { state: "connecting"; attempt: number; since_ms: number }
  | { state: "up" }
  /** The call was lost; the next try is at `retry_at_ms`. */
  | { state: "waiting"; attempt: number; since_ms: number; retry_at_ms: number }
  | { state: "over"; trouble: Trouble | null };

export type Input =
  | { kind: "connected" }
  /** The call ended without anybody wanting it. */
  | { kind: "lost" }
  /** A try failed; with `final` no further try can help. */
  | { kind: "failed"; trouble: Trouble; final: boolean }
  /** The machine is online again, or the person asked: do not wait longer. */
  | { kind: "hurry" }
  | { kind: "tick" }
  | { kind: "left" };

export const GIVE_UP_MS = 5 * 60_000;
/** Long enough for the server's word that somebody sent us away. */
const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 4_000;

/** The delay before a try: doubling, bounded, and spread so that a restarted server is not met by all at once. */
export function delay_ms(attempt: number, random: number): number {
  const bound = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return Math.round(bound * (0.5 + 0.5 * random));
}

export function started(now_ms: number): Link {
  return { state: "connecting", attempt: 0, since_ms: now_ms };
}

/** The next state; `random` is in [0, 1). The caller starts a try whenever the state becomes "connecting". */
export function step(link: Link, input: Input, now_ms: number, random: number): Link {
  if (link.state === "over") return link;
  if (input.kind === "left") return { state: "over", trouble: null };
  switch (link.state) {
    case "connecting":
      if (input.kind === "connected") return { state: "up" };
      if (input.kind === "failed" || input.kind === "lost") {
        const trouble = input.kind === "failed" ? input.trouble : null;
        // The first try is the person's: what is wrong is said at once, nothing is tried behind their back.
        const final = (input.kind === "failed" && input.final) || link.attempt === 0;
        if (final || now_ms - link.since_ms > GIVE_UP_MS) return { state: "over", trouble };
        return wait(link.attempt + 1, link.since_ms, now_ms, random);
      }
      return link;
    case "up":
      return input.kind === "lost" ? wait(1, now_ms, now_ms, random) : link;
    case "waiting":
      if (input.kind === "hurry" || (input.kind === "tick" && now_ms >= link.retry_at_ms)) {
        return { state: "connecting", attempt: link.attempt, since_ms: link.since_ms };
      }
      return link;
  }
}

function wait(attempt: number, since_ms: number, now_ms: number, random: number): Link {
  return { state: "waiting", attempt, since_ms, retry_at_ms: now_ms + delay_ms(attempt, random) };
}
