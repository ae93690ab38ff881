// Deleting what the server can put back: done at once, and undone by a click or by Ctrl+Z while it is said.

import { get, post, remove, words } from "./server";
import { say } from "./toasts";

export interface Revision {
  id: number;
  kind: string;
  name: string;
  at: string;
  by: string;
  /** What it was before and after; null where there was nothing. */
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

export async function history(kind = "", name = ""): Promise<Revision[]> {
  const query = new URLSearchParams();
  if (kind) query.set("kind", kind);
  if (name) query.set("name", name);
  const answer = await get<Revision[] | { items: Revision[] }>(`/plan/history?${query}`);
  return Array.isArray(answer) ? answer : answer.items;
}

export async function undo(revision: number): Promise<void> {
  await post("/plan/undo", { revision_id: revision });
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
  const [latest] = await history(kind, name).catch(() => []);
  if (!latest) {
    say(`${title} is deleted`);
    return true;
  }
  say(`${title} is deleted`, {
    undo: async () => {
      try {
        await undo(latest.id);
        say(`${title} is back`);
        then();
      } catch (error) {
        say(words(error), { wrong: true });
      }
    },
  });
  return true;
}
