// Who is logged in, and what they may.

import { signal } from "@preact/signals";
import { ProblemError } from "../api";
import { get, post, remove, whenLoggedOut, words } from "./server";

export interface You {
  name: string;
  role: "admin" | "helpdesk" | "auditor" | "user";
  permissions: string[];
  person_id: string | null;
  extensions: string[];
  /** What stands for each in addresses. */
  extension_ids: string[];
  version: string;
  echo_number: string;
  second_factor: boolean;
}

/** undefined until it is known. */
export const you = signal<You | null | undefined>(undefined);
export const trouble = signal("");

const KEEP_MS = 10 * 60_000;

export function may(permission: string): boolean {
  return you.value?.permissions.includes(permission) ?? false;
}

export async function open(): Promise<void> {
  whenLoggedOut(() => {
    you.value = null;
  });
  await look();
  setInterval(() => you.value && document.visibilityState === "visible" && look(), KEEP_MS);
  document.addEventListener("visibilitychange", () => you.value && look());
}

export async function look(): Promise<void> {
  try {
    you.value = await get<You>("/session");
    trouble.value = "";
  } catch (error) {
    if (error instanceof ProblemError && error.status === 401) you.value = null;
    else trouble.value = words(error);
  }
}

export async function logIn(name: string, password: string, code: string): Promise<void> {
  you.value = await post<You>("/session", { name, password, code });
}

export async function logOut(): Promise<void> {
  await remove("/session").catch(() => null);
  you.value = null;
}
