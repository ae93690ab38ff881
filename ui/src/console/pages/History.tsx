// What was changed in the plan, by whom, and back.

import { useEffect, useState } from "preact/hooks";
import { history, type Revision, undo } from "../deleting";
import { kindOf } from "../kinds";
import { humane, label, when } from "../labels";
import { words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

const AT_ONCE = 50;

export function HistoryPage({ kind, name }: { kind: string | undefined; name: string | undefined }) {
  const [all, setAll] = useState<Revision[] | null>(null);
  const [more, setMore] = useState(false);
  const [trouble, setTrouble] = useState("");
  const load = async (before: number | null) => {
    try {
      const found = await history(kind, name, before, AT_ONCE);
      setAll((known) => (before === null || !known ? found : [...known, ...found]));
      setMore(found.length === AT_ONCE);
      setTrouble("");
    } catch (error) {
      setTrouble(words(error));
    }
  };
  useEffect(() => {
    load(null);
  }, [kind, name]);
  const takeBack = async (revision: Revision) => {
    try {
      await undo(revision.revision_id);
      say(`${titleOf(revision)} is as it was before`);
      await load(null);
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  return (
    <section class="page">
      <header class="list-head">
        <h1>History</h1>
        {kind && name && (
          <span class="soft">
            of{" "}
            <a href={`/console/plan/${kind}/${encodeURIComponent(name)}`}>
              {kindOf(kind)?.title ?? kind} {name}
            </a>{" "}
            · <a href="/console/history">all</a>
          </span>
        )}
      </header>
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {all?.length === 0 && <p class="empty">Nothing was changed yet.</p>}
      <ol class="revisions">
        {all?.map((one) => (
          <li key={one.revision_id}>
            <div class="grow">
              <p>
                <b>{titleOf(one)}</b> {actOf(one)}
                <span class="soft">
                  {" "}
                  {when(one.changed_at)} by {one.changed_by || "nobody known"}
                  {one.undoes !== null && ", taking a change back"}
                </span>
              </p>
              <Difference revision={one} />
            </div>
            {may("plan:write") && (
              <button type="button" class="quiet small" onClick={() => takeBack(one)}>
                Undo
              </button>
            )}
          </li>
        ))}
      </ol>
      {more && (
        <button type="button" class="quiet" onClick={() => load(all?.at(-1)?.revision_id ?? null)}>
          Earlier changes
        </button>
      )}
    </section>
  );
}

function titleOf({ kind, name, before, after }: Revision): string {
  const title = (after ?? before)?.title;
  return `${kindOf(kind)?.title ?? humane(kind)} ${title || name}`;
}

function actOf({ before, after }: Revision): string {
  if (!before) return "was added";
  return after ? "was changed" : "was deleted";
}

function Difference({ revision: { before, after } }: { revision: Revision }) {
  if (!before || !after) return null;
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]),
  );
  return (
    <dl class="facts">
      {fields.flatMap((field) => [
        <dt key={field}>{label(field)}</dt>,
        <dd key={`${field}-is`}>
          <del>{shown(before[field])}</del> <ins>{shown(after[field])}</ins>
        </dd>,
      ])}
    </dl>
  );
}

function shown(value: unknown): string {
  if (value === undefined || value === "") return "–";
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ") || "–";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
