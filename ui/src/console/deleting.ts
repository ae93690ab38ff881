// Deleting what the server can put back: done at once, and undone by a click or by Ctrl+Z while it is said.

import { post, remove, words } from "./server";
import { may } from "./session";
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
  return post<Revision[]>("/history/search", { kind, name, before, limit });
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
  await sayWithUndo(`${title} is deleted`, `${title} is back`, kind, name, then);
  return true;
}

/** Say what was done to something, and offer to take it back where the history has it. */
export async function sayWithUndo(
  text: string,
  undone: string,
  kind: string,
  name: string,
  then: () => void,
): Promise<void> {
  const [latest] = may("plan:read") ? await history(kind, name, null, 1).catch(() => []) : [];
  if (!latest) {
    say(text);
    return;
  }
  say(text, {
    undo: async () => {
      try {
        const but = await undo(latest.revision_id);
        say(`${undone}${but}`, { wrong: Boolean(but) });
        then();
      } catch (error) {
        say(words(error), { wrong: true });
      }
    },
  });
}
