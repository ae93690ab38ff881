// The kinds of the plan, as the server describes them; loaded once somebody is logged in.

import { signal } from "@preact/signals";
import type { IconName } from "./Icon";
import type { Schema, Value } from "./schema";
import { get } from "./server";

export interface Kind {
  kind: string;
  title: string;
  plural: string;
  description: string;
  schema: Schema;
  has_number: boolean;
}

export interface Item {
  name: string;
  /** What stands for the name in addresses. */
  key: string;
  value: Value;
  revision: number;
  changed_at: string;
  changed_by: string;
}

/** Empty until they are known. */
export const kinds = signal<Kind[]>([]);

export async function loadKinds(): Promise<void> {
  kinds.value = await get<Kind[]>("/plan/kinds").catch(() => []);
}

export function kindOf(name: string): Kind | undefined {
  return kinds.value.find(({ kind }) => kind === name);
}

/** Kinds whose values belong to an extension and are named by its number. */
export const BY_EXTENSION: ReadonlySet<string> = new Set(["answering", "mailbox"]);

/** Where a kind is found: what callers meet, what goes out, what is kept. */
export const SECTIONS: readonly { title: string; kinds: readonly string[] }[] = [
  {
    title: "What callers meet",
    kinds: ["group", "queue", "menu", "hours", "announcement", "answering", "mailbox"],
  },
  { title: "Outside", kinds: ["route", "blocked", "role", "location", "emergency-test"] },
  { title: "Voice", kinds: ["recording-policy"] },
];

export const KIND_ICONS: Record<string, IconName> = {
  group: "people",
  queue: "queue",
  menu: "keypad",
  hours: "history",
  announcement: "play",
  answering: "phone",
  mailbox: "voicemail",
  route: "route",
  blocked: "close",
  role: "person",
  location: "status",
  "emergency-test": "status",
  "recording-policy": "record",
};
