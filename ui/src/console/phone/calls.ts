// The calls of this page's phone, as every part of the console may show them; the phone itself comes with JsSIP later.

import { computed, signal } from "@preact/signals";
import type { SipAccount } from "../../api";
import type { Trouble } from "../../trouble";

export type CallState = "incoming" | "dialling" | "ringing" | "talking" | "over";

export interface Call {
  id: string;
  incoming: boolean;
  number: string;
  name: string;
  state: CallState;
  /** When it was answered (milliseconds since 1970). */
  since: number | null;
  held: boolean;
  /** The other side holds it. */
  heldByThem: boolean;
  muted: boolean;
  /** What a transfer has come to, or why it is over. */
  words: string;
}

export type LineState = "off" | "opening" | "ready" | "lost" | "refused";

export const line = signal<LineState>("off");
export const calls = signal<Call[]>([]);
export const trouble = signal<Trouble | null>(null);
export const account = signal<PhoneAccount | null>(null);

export interface PhoneAccount {
  extension: string;
  name: string;
  sip: SipAccount;
}

export const alive = computed(() => calls.value.filter(({ state }) => state !== "over"));
/** The call that is heard. */
export const active = computed(() => alive.value.find(({ held, state }) => !held && state !== "incoming"));

export function changed(id: string, next: Partial<Call>): void {
  calls.value = calls.value.map((one) => (one.id === id ? { ...one, ...next } : one));
}

/** What is shown of the other side. */
export function whom({ name, number }: Pick<Call, "name" | "number">): string {
  return name && name !== number ? name : number || "Unknown";
}

const WORDS: Record<number, string> = {
  403: "You may not call this number",
  404: "There is no such number",
  408: "No answer",
  410: "This number is not in use any more",
  480: "Nobody can be reached there now",
  484: "The number is not complete",
  486: "Busy",
  487: "",
  488: "The other side has no sound that fits",
  500: "The call failed on its way",
  503: "The call could not be put through",
  600: "Busy",
  603: "Declined",
};

/** Why a call did not come about, for a person. */
export function whyNot(status: number, said: string): string {
  return WORDS[status] ?? (said ? `It did not come about: ${said}` : "It did not come about");
}

/** What to call for what somebody typed: the digits of a number, or a SIP user as it is. */
export function dialString(typed: string): string {
  const text = typed.trim();
  return /^[+\d][\d\s()./-]*$/.test(text) ? text.replace(/[^\d+*#]/g, "") : text.replace(/\s/g, "");
}
