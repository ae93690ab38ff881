// What happens on the server, as it happens (server-sent events); the browser comes back to it by itself.

import { useEffect, useRef } from "preact/hooks";

/** Several things that happen at once are looked at once. */
const TOGETHER_MS = 120;
/** In case that something was missed while the connection was away. */
const ANYWAY_MS = 15_000;

export const IN_MEETINGS = [
  "meeting.started",
  "meeting.ended",
  "meeting.locked",
  "meeting.unlocked",
  "participant.arrived",
  "participant.waiting",
  "participant.joined",
  "participant.left",
  "participant.muted",
  "participant.unmuted",
  "participant.hand_raised",
  "participant.hand_lowered",
  "events.missed",
] as const;

/** Calls `then` after things of these kinds have happened, and now and then without. */
export function useHappenings(kinds: readonly string[], then: () => void): void {
  const latest = useRef(then);
  latest.current = then;
  useEffect(() => {
    let soon: ReturnType<typeof setTimeout> | undefined;
    const tell = () => {
      soon ??= setTimeout(() => {
        soon = undefined;
        latest.current();
      }, TOGETHER_MS);
    };
    const source = new EventSource("/api/v1/events");
    let opened = false;
    source.addEventListener("open", () => {
      // What is shown is as it was before the connection was lost.
      if (opened) tell();
      opened = true;
    });
    for (const kind of kinds) source.addEventListener(kind, tell);
    const anyway = setInterval(tell, ANYWAY_MS);
    return () => {
      source.close();
      clearTimeout(soon);
      clearInterval(anyway);
    };
  }, [kinds]);
}
