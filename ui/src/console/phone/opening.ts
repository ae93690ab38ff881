// The phone itself, which comes when somebody wants to call.

import type { Line } from "./line";

/** JsSIP is large: it is loaded when somebody wants to phone. */
let loading: Promise<Line> | null = null;
export function thePhone(): Promise<Line> {
  loading ??= import("./line").then(({ phone }) => phone);
  return loading;
}

/** Nobody is called here any more: who was logged in is gone. */
export function closePhone(): void {
  loading?.then((phone) => phone.close());
}
