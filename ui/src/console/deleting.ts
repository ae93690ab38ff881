// Deleting what the server can put back: done at once, and undone by a click or by Ctrl+Z while it is said.

import { get, post, remove, words } from "./server";
import { say } from "./toasts";

export interface Revision {
  revision_id: number;
  kind: string;
  name: string;
  changed_at: string;
  changed_by: string;
  /** The revision that this one took back. */
  undoes: number | null;
  /** What it was before and after; null where there was nothing. */
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

/** What was changed, the last change first; `before` a revision, for those that are older. */
export function history(
  kind = "",
  name = "",
  before: number | null = null,
  limit = 100,
): Promise<Revision[]> {
  const query = new URLSearchParams({ limit: String(limit) });
  if (kind) query.set("kind", kind);
  if (name) query.set("name", name);
  if (before !== null) query.set("before", String(before));
  return get<Revision[]>(`/history?${query}`);
}

/** Take a change back; what did not come back with it, in words. */
export async function undo(revision: number): Promise<string> {
  const { notes } = await post<{ notes: string[] }>("/history/undo", { revision_id: revision });
  return notes.length ? `, but: ${notes.join("; ")}` : "";
}

/** Delete, and offer to take it back; whether it was deleted. `then` is called when it came back. */
export async function removeWithUndo(
  path: string,
  title: string,
  kind: string,
  name: string,
  then: () => void,
): Promise<boolean> {
  try {
    await remove(path);
  } catch (error) {
    say(words(error), { wrong: true });
    return false;
  }
  const [latest] = await history(kind, name, null, 1).catch(() => []);
  if (!latest) {
    say(`${title} is deleted`);
    return true;
  }
  say(`${title} is deleted`, {
    undo: async () => {
      try {
        const but = await undo(latest.revision_id);
        say(`${title} is back${but}`, { wrong: Boolean(but) });
        then();
      } catch (error) {
        say(words(error), { wrong: true });
      }
    },
  });
  return true;
}
