// What the browser remembers: name and devices for good, the seat and the link's token for this tab only.

import type { Device } from "./devices";

function read(store: () => Storage, key: string): string {
  try {
    return store().getItem(`ringback.${key}`) ?? "";
  } catch {
    // Storage can be forbidden; the page works without.
    return "";
  }
}

function write(store: () => Storage, key: string, value: string): void {
  try {
    if (value) store().setItem(`ringback.${key}`, value);
    else store().removeItem(`ringback.${key}`);
  } catch {
    // As above.
  }
}

const forever = () => localStorage;
const thisTab = () => sessionStorage;

export const name = {
  get: () => read(forever, "name"),
  set: (value: string) => write(forever, "name", value),
};

function device(key: string) {
  return {
    get(): Device | null {
      try {
        const value: unknown = JSON.parse(read(forever, key) || "null");
        if (typeof value !== "object" || value === null) return null;
        const { id, label } = value as Partial<Device>;
        return typeof id === "string" && typeof label === "string" ? { id, label } : null;
      } catch {
        return null;
      }
    },
    set: (value: Device | null) => write(forever, key, value ? JSON.stringify(value) : ""),
  };
}

export const microphone = device("microphone");
export const speaker = device("speaker");

/** Secret of the visit in this tab, with which the server gives name, role and admission back. */
export const seat = {
  get: (meeting: string) => read(thisTab, `seat.${meeting}`),
  set: (meeting: string, secret: string) => write(thisTab, `seat.${meeting}`, secret),
};

/** The link's token: it leaves the address bar at once, but a reload must still know it. */
export const token = {
  get: (meeting: string) => read(thisTab, `token.${meeting}`),
  set: (meeting: string, value: string) => write(thisTab, `token.${meeting}`, value),
};
