// What can be chosen in a field: things of a kind, found on the server as somebody types.

import { humane } from "./labels";
import { get, list } from "./server";

export interface Choice {
  value: string;
  /** What stands for it in addresses. */
  key?: string;
  label: string;
  hint: string;
}

interface PlanItem {
  name: string;
  value: { title?: string; number?: string };
}

interface Extension {
  id: string;
  number: string;
  display_name: string;
}

export const TARGET_KINDS = [
  "extension",
  "group",
  "queue",
  "menu",
  "hours",
  "mailbox",
  "announcement",
  "meeting",
  "outside",
  "busy",
  "hangup",
] as const;
export type TargetKind = (typeof TARGET_KINDS)[number];

export const TARGET_WORDS: Record<TargetKind, string> = {
  extension: "Extension",
  group: "Group",
  queue: "Queue",
  menu: "Menu",
  hours: "Hours",
  mailbox: "Mailbox",
  announcement: "Announcement",
  meeting: "Meeting",
  outside: "Number outside",
  busy: "Busy tone",
  hangup: "Hang up",
};

const MOST = 20;

/** Things of a kind that match what was typed. */
export async function choices(kind: string, search: string, signal?: AbortSignal): Promise<Choice[]> {
  switch (kind) {
    case "extension":
    case "mailbox":
      return (await list<Extension>("/extensions", search, null, signal, MOST)).items
        .slice(0, MOST)
        .map(({ id, number, display_name }) => ({
          value: number,
          key: id,
          label: number,
          hint: display_name,
        }));
    case "meeting":
      return (
        await list<{ id: string; number: string; name: string }>("/meetings", search, null, signal, MOST)
      ).items
        .slice(0, MOST)
        .map(({ id, number, name }) => ({ value: number, key: id, label: name, hint: number }));
    case "person":
      return (
        await list<{ id: string; name: string; e_mail?: string }>("/people", search, null, signal, MOST)
      ).items
        .slice(0, MOST)
        .map(({ id, name, e_mail }) => ({ value: id, label: name, hint: e_mail ?? "" }));
    case "trunk":
      return (await list<{ name: string; host: string }>("/trunks", search, null, signal, MOST)).items
        .slice(0, MOST)
        .map(({ name, host }) => ({ value: name, label: name, hint: host }));
    default:
      return (await list<PlanItem>(`/plan/${kind}`, search, null, signal, MOST)).items
        .slice(0, MOST)
        .map(({ name, value }) => ({
          value: name,
          label: value.title || humane(name),
          hint: value.number || name,
        }));
  }
}

/** What stands for an extension in addresses. */
export async function extensionId(number: string, signal?: AbortSignal): Promise<string> {
  const found = await choices("extension", number, signal);
  return found.find(({ value }) => value === number)?.key ?? number;
}

/** The name of something that was chosen before. */
export async function known(kind: string, value: string, signal?: AbortSignal): Promise<Choice> {
  try {
    if (kind === "person") {
      const { name } = await get<{ name: string }>(`/people/${encodeURIComponent(value)}`, signal);
      return { value, label: name, hint: "" };
    }
    return (
      (await choices(kind, value, signal)).find((one) => one.value === value) ?? {
        value,
        label: value,
        hint: "",
      }
    );
  } catch {
    return { value, label: value, hint: "" };
  }
}
