// The page's models in chosen states, without a server: for looking at it, and for tests of what is shown.

import { signal } from "@preact/signals";
import type { MeetingModel, Phase } from "../src/meeting";
import type { PreflightModel } from "../src/preflight";
import { pictureOf } from "../src/roster";
import type { Trouble } from "../src/trouble";

const quality = (lost: number, jitter: number, round_trip_ms: number) => ({
  received: { lost_percent: lost, jitter_ms: jitter },
  sent: { lost_percent: lost / 2, jitter_ms: jitter },
  round_trip_ms,
});

export const PEOPLE = [
  { id: "1", name: "Ada", role: "host", via: "browser", quality: quality(0, 3, 24) },
  { id: "2", name: "••• 0142", role: "guest", via: "phone", talking: true, quality: quality(0.2, 6, 48) },
  {
    id: "3",
    name: "Grace",
    role: "guest",
    via: "browser",
    hand: true,
    quality: quality(2.4, 41, 180),
  },
  { id: "4", name: "••• 0199", role: "guest", via: "phone", muted: true, quality: quality(8.1, 72, 620) },
  { id: "5", name: "Noor", role: "guest", via: "browser", quality: null },
];

export const WAITING = [
  { id: "8", name: "Mira", role: "guest", via: "browser", state: "lobby" },
  { id: "9", name: "••• 0123", role: "guest", via: "phone", state: "lobby" },
];

export interface Story {
  meeting: MeetingModel;
  preflight: PreflightModel;
  did: string[];
}

export interface Told {
  phase: Phase;
  role?: "host" | "guest";
  you?: string;
  trouble?: Trouble;
  microphoneTrouble?: Trouble;
  waiting?: object[];
  locked?: boolean;
  interruption?: string;
}

/** A page in a state; `did` collects what a person set off. */
export function story(told: Told): Story {
  const did: string[] = [];
  const muted = signal(false);
  const hand = signal(false);
  const meeting: MeetingModel = {
    phase: signal(told.phase),
    title: signal("Weekly planning"),
    role: signal(told.role ?? "guest"),
    name: signal("Grace"),
    dialIn: signal({ number: "481516234", address: "sip:481516234@pbx.example.com", pin: "274113" }),
    trouble: signal(told.trouble ?? null),
    interruption: signal(told.interruption ?? ""),
    waiting: signal(Boolean(told.interruption)),
    picture: signal(
      pictureOf({
        you: { id: told.you ?? "3", role: told.role ?? "guest", state: "in" },
        participants: PEOPLE,
        waiting: told.waiting ?? [],
        locked: told.locked ?? false,
      }),
    ),
    muted,
    hand,
    ending: signal(told.phase === "over" ? "The host removed you from the meeting." : ""),
    said: signal([]),
    notice: signal(""),
    silent: signal(false),
    setName: (name) => did.push(`name ${name}`),
    join: () => did.push("join"),
    leave: () => did.push("leave"),
    retry: () => did.push("retry"),
    toggleMute: () => {
      muted.value = !muted.value;
      did.push("mute");
    },
    toggleHand: () => {
      hand.value = !hand.value;
      did.push("hand");
    },
    playSound: () => did.push("play"),
    host: (act, participant) => did.push([act, participant].filter(Boolean).join(" ")),
  };
  const devices = [
    { id: "a", label: "Built-in microphone" },
    { id: "b", label: "Headset" },
  ];
  const preflight: PreflightModel = {
    microphone: signal(told.microphoneTrouble ? "trouble" : "ready"),
    hint: signal(false),
    trouble: signal(told.microphoneTrouble ?? null),
    level: signal(0.55),
    microphones: signal(devices),
    speakers: signal([{ id: "s", label: "Built-in speaker" }]),
    microphoneId: signal("b"),
    speakerId: signal(""),
    missing: signal(""),
    echo: signal("off"),
    echoTrouble: signal(null),
    allow: () => did.push("allow"),
    pickMicrophone: (id) => did.push(`microphone ${id}`),
    pickSpeaker: (id) => did.push(`speaker ${id}`),
    testSound: () => did.push("test sound"),
  };
  return { meeting, preflight, did };
}

const DENIED: Trouble = {
  kind: "denied",
  what: "This page may not use your microphone.",
  fix: "Click the icon left of the address, switch Microphone on, then choose “Try again”.",
};

export const STORIES: Record<string, Told> = {
  preflight: { phase: "preflight" },
  denied: { phase: "preflight", microphoneTrouble: DENIED },
  lobby: { phase: "lobby" },
  meeting: { phase: "meeting" },
  host: { phase: "meeting", role: "host", you: "1", waiting: WAITING },
  rejoining: { phase: "meeting", interruption: "The connection was lost. Rejoining…" },
  over: { phase: "over" },
};
