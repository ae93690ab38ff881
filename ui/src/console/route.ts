// Where the console is: the address, changed without loading the page anew.

import { signal } from "@preact/signals";

export const path = signal(location.pathname);

/** Asked before the place is left; false keeps it. */
let mayLeave: () => boolean = () => true;

export function guard(ask: () => boolean): () => void {
  mayLeave = ask;
  return () => {
    mayLeave = () => true;
  };
}

export function go(to: string, { replace = false } = {}): void {
  if (to === path.value) return;
  if (!mayLeave()) return;
  mayLeave = () => true;
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  path.value = to;
}

/** Parts of the path after /console: "/console/plan/group" is ["plan", "group"]. */
export function parts(of = path.value): string[] {
  return of
    .replace(/^\/console\/?/, "")
    .split("/")
    .filter(Boolean)
    .map(decodeURIComponent);
}

/** Follow links of ours, and the browser's buttons. */
export function follow(): void {
  addEventListener("popstate", () => {
    if (mayLeave()) path.value = location.pathname;
    else history.pushState(null, "", path.value);
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!/^\/(console|phone)(\/|$)/.test(link.pathname)) return;
    event.preventDefault();
    go(link.pathname);
  });
}
