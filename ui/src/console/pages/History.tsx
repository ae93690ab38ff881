// What was changed, by whom, and back.

import { useEffect, useState } from "preact/hooks";
import { history, type Revision, undo } from "../deleting";
import { kindOf } from "../kinds";
import { humane, label, when } from "../labels";
import { useLoaded } from "../loading";
import { get, words } from "../server";
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
      const but = await undo(revision.revision_id);
      say(`${titleOf(revision)} is as it was before${but}`, { wrong: Boolean(but) });
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
            of <a href={placeOf(kind, name)}>{all?.[0] ? titleOf(all[0]) : name}</a> ·{" "}
            <a href="/console/history">all</a>
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
            {may(ACCOUNTS[one.kind]?.writes ?? "plan:write") && (
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

/** What is no part of the plan: where it is found, and who may change it. */
const ACCOUNTS: Record<string, { path: string; writes: string }> = {
  person: { path: "/console/people", writes: "people:write" },
  extension: { path: "/console/extensions", writes: "extensions:write" },
  device: { path: "/console/devices", writes: "devices:write" },
  trunk: { path: "/console/trunks", writes: "trunks:write" },
  meeting: { path: "/console/meetings", writes: "meetings:write" },
};

function placeOf(kind: string, name: string): string {
  return `${ACCOUNTS[kind]?.path ?? `/console/plan/${kind}`}/${encodeURIComponent(name)}`;
}

function titleOf({ kind, name, before, after }: Revision): string {
  const value = after ?? before;
  // These are named by an id.
  const title = value?.title || (["person", "device", "meeting"].includes(kind) ? value?.name : "");
  return `${kindOf(kind)?.title ?? humane(kind)} ${title || name}`;
}

function actOf({ before, after, undoes }: Revision): string {
  if (!before) return undoes === null ? "was added" : "is back";
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
          <del>
            <Shown field={field} value={before[field]} />
          </del>{" "}
          <ins>
            <Shown field={field} value={after[field]} />
          </ins>
        </dd>,
      ])}
    </dl>
  );
}

function Shown({ field, value }: { field: string; value: unknown }) {
  if (field === "person_id") return value ? <PersonName id={String(value)} /> : <>nobody</>;
  return <>{shown(value)}</>;
}

function PersonName({ id }: { id: string }) {
  const { data, trouble } = useLoaded((signal) => get<{ name: string }>(`/people/${id}`, signal), [id]);
  return <>{data?.name ?? (trouble ? "somebody who is not there any more" : "…")}</>;
}

function shown(value: unknown): string {
  if (value === undefined || value === null || value === "") return "–";
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ") || "–";
  if (typeof value !== "object") return String(value);
  const entries = Object.entries(value);
  if (Array.isArray(value) || entries.some(([, one]) => typeof one === "object"))
    return JSON.stringify(value);
  return entries.map(([key, one]) => `${key} → ${one}`).join(", ") || "–";
}
