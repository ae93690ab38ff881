// Short messages at the edge of the page; one that can be undone stays for a while.

import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  wrong: boolean;
  undo: (() => void) | undefined;
}

export const toasts = signal<Toast[]>([]);
let last = 0;

const SHORT_MS = 4_000;
const LONG_MS = 12_000;

export function say(text: string, more: { undo?: () => void; wrong?: boolean } = {}): void {
  last += 1;
  const toast: Toast = { id: last, text, wrong: more.wrong ?? false, undo: more.undo };
  toasts.value = [...toasts.value.slice(-2), toast];
  setTimeout(() => dismiss(toast.id), toast.undo || toast.wrong ? LONG_MS : SHORT_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}
