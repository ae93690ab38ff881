// Any kind of the plan: its list, and one value in a form made from the server's description.

import { useState } from "preact/hooks";
import { ProblemError } from "../../api";
import { extensionId } from "../choices";
import { removeWithUndo } from "../deleting";
import { Form } from "../Form";
import { targetWords } from "../fields/Target";
import { BY_EXTENSION, type Item, type Kind, kindOf, kinds } from "../kinds";
import { type Column, List } from "../List";
import { humane, when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { go } from "../route";
import { type Field, fieldsOf, fresh, slug, type Value } from "../schema";
import { get, post, put, words } from "../server";
import { may, you } from "../session";
import { say } from "../toasts";

export function PlanPage({ kind: kindName, name }: { kind: string; name: string | undefined }) {
  const [turn, setTurn] = useState(0);
  const kind = kindOf(kindName);
  if (!kind) return kinds.value.length ? <p class="empty">There is nothing like that here.</p> : null;
  const base = `/console/plan/${kind.kind}`;
  const again = () => setTurn((before) => before + 1);
  return (
    <div class={`with-panel ${name ? "open" : ""}`}>
      <List<Item>
        key={kind.kind}
        title={kind.plural}
        nouns={[kind.title.toLowerCase(), kind.plural.toLowerCase()]}
        path={`/plan/${kind.kind}`}
        columns={columnsOf(kind)}
        keyOf={(one) => one.key}
        linkOf={(one) => `${base}/${encodeURIComponent(one.key)}`}
        newLink={may("plan:write") ? `${base}/new` : undefined}
        turn={turn}
        selected={name}
        intro={firstSentence(kind.description)}
        empty={
          <p>
            No {kind.plural.toLowerCase()} yet. {firstSentence(kind.description)}
          </p>
        }
      />
      {name === "new" && <NewValue key={kind.kind} kind={kind} base={base} onDone={again} />}
      {name && name !== "new" && (
        <OneValue key={`${kind.kind}/${name}`} {...{ kind, name, base }} onDone={again} />
      )}
    </div>
  );
}

function columnsOf(kind: Kind): Column<Item>[] {
  const columns: Column<Item>[] = [
    {
      title: "Name",
      show: ({ name, value }) => String(value.title || (BY_EXTENSION.has(kind.kind) ? name : humane(name))),
    },
  ];
  if (kind.has_number) columns.push({ title: "Number", show: ({ value }) => String(value.number ?? "") });
  const telling = TELLING[kind.kind];
  if (telling) columns.push({ title: telling[0], show: ({ value }) => telling[1](value), minor: true });
  columns.push({ title: "Changed", show: ({ changed_at }) => when(changed_at), minor: true });
  return columns;
}

/** What is worth seeing in the list, by kind. */
const TELLING: Record<string, [string, (value: Value) => string]> = {
  group: ["Members", ({ members }) => some(members)],
  queue: ["Agents", ({ agents }) => some(agents)],
  menu: ["Keys", ({ keys }) => Object.keys((keys as object) ?? {}).join(" ")],
  hours: ["Now", (value) => (value.switch ? `By hand: ${value.switch}` : String(value.time_zone ?? ""))],
  route: ["Patterns", ({ patterns, trunks }) => `${some(patterns)} → ${some(trunks)}`],
  blocked: ["Patterns", ({ patterns }) => some(patterns)],
  answering: ["Calls go", (value) => answeringWords(value)],
  announcement: ["Then", ({ then }) => targetWords(String(then ?? ""))],
  role: ["May call", ({ classes }) => some(classes)],
  location: ["Address", ({ address }) => String(address ?? "")],
  "recording-policy": ["State", ({ approved_by }) => (approved_by ? "Approved" : "Not approved")],
};

function some(list: unknown): string {
  const all = Array.isArray(list) ? list.map(String) : [];
  return all.length > 4 ? `${all.slice(0, 4).join(", ")} and ${all.length - 4} more` : all.join(", ");
}

function answeringWords(value: Value): string {
  if (value.always) return `Always to ${targetWords(String(value.always))}`;
  return value.do_not_disturb ? "Do not disturb" : "To its devices first";
}

function firstSentence(text: string): string {
  return (/^[^.]+\./.exec(text)?.[0] ?? text).replaceAll("`", "");
}

const NAME: Field = {
  name: "name",
  kind: "text",
  required: true,
  of: [],
  schema: {
    title: "Name in the plan",
    type: "string",
    pattern: "^[a-z0-9][a-z0-9-]{0,31}$",
    description: "What others refer to it by: small letters, digits and dashes.",
  },
};
const EXTENSION: Field = {
  name: "name",
  kind: "reference",
  required: true,
  of: ["extension"],
  schema: { title: "Extension", type: "string" },
};

interface NewProps {
  kind: Kind;
  base: string;
  /** The extension, where it is known whose it will be, and what stands for it in addresses. */
  of?: string;
  id?: string;
  onDone: () => void;
}

function NewValue({ kind, base, of = "", id = "", onDone }: NewProps) {
  const own = formOf(kind);
  const named = BY_EXTENSION.has(kind.kind) ? EXTENSION : NAME;
  // The title first: the name follows from it.
  const title = own.find((field) => field.name === "title");
  const fields = title ? [title, named, ...own.filter((field) => field !== title)] : [named, ...own];
  return (
    <Panel title={`New ${kind.title.toLowerCase()}${of && ` of ${of}`}`} back={base}>
      <Form
        fields={of ? own : fields}
        value={{ name: of, ...fresh(kind.schema) }}
        saveWord="Add"
        follow={(value, changed) => {
          if (changed !== "title" || named !== NAME) return value;
          return { ...value, name: slug(String(value.title)) };
        }}
        onCancel={() => go(base)}
        onSave={async (value) => {
          const name = String(value.name);
          const key = id || (named === EXTENSION ? await extensionId(name) : name);
          const path = `/plan/${kind.kind}/${encodeURIComponent(key)}`;
          const taken = await get(path).catch(() => null);
          if (taken) throw refuse("name", "this name is taken");
          await put(path, content(value));
          say(`${kind.title} ${value.title || name} is added`);
          onDone();
          go(`${base}/${encodeURIComponent(key)}`);
        }}
      />
    </Panel>
  );
}

function refuse(field: string, message: string): ProblemError {
  return new ProblemError(422, message, [{ field, message }]);
}

/** A value without its name, which is in the address, and without the approval, which a change takes away. */
function content({ name: _, [APPROVED]: __, ...rest }: Value): Value {
  return rest;
}

const POLICY = "recording-policy";
/** Set by approving, which is no field of the form. */
const APPROVED = "approved_by";

function formOf(kind: Kind): Field[] {
  return fieldsOf(kind.schema).filter(({ name }) => name !== APPROVED);
}

/** Nothing is recorded by a policy before somebody else than who wrote it has approved it. */
function Approval({ item, onDone }: { item: Item; onDone: () => void }) {
  const by = String(item.value[APPROVED] ?? "");
  const own = item.changed_by === you.value?.name;
  return (
    <section class="part">
      <h3>Approval</h3>
      <p>
        {by ? (
          <>
            <span class="tag good">approved</span> by {by}. A change takes that away.
          </>
        ) : (
          <>
            <span class="tag fair">not approved</span> Nothing is recorded by it yet: somebody else than{" "}
            {item.changed_by || "who wrote it"} has to approve it.
          </>
        )}
      </p>
      {!by && !own && may("recording-policies:approve") && (
        <button
          type="button"
          onClick={async () => {
            try {
              await post(`/recordings/policies/${encodeURIComponent(item.name)}/approve`);
              say("It is approved: calls are recorded by it from now on");
              onDone();
            } catch (error) {
              say(words(error), { wrong: true });
            }
          }}
        >
          Approve it as it is
        </button>
      )}
    </section>
  );
}

interface OneProps {
  kind: Kind;
  name: string;
  base: string;
  onDone: () => void;
}

function OneValue({ kind, name, base, onDone }: OneProps) {
  const path = `/plan/${kind.kind}/${encodeURIComponent(name)}`;
  const { data, trouble, again } = useLoaded(
    (signal) =>
      get<Item>(path, signal).catch((error) => {
        if (error instanceof ProblemError && error.status === 404 && BY_EXTENSION.has(kind.kind)) return null;
        throw error;
      }),
    [path],
  );
  const none = data === null;
  const { data: extension } = useLoaded(
    async (signal) => (none ? get<{ number: string }>(`/extensions/${name}`, signal) : null),
    [none, name],
  );
  // An extension has none until somebody sets it.
  if (none && extension && may("plan:write"))
    return (
      <NewValue
        kind={kind}
        base={base}
        of={extension.number}
        id={name}
        onDone={() => {
          again();
          onDone();
        }}
      />
    );
  if (none)
    return (
      <Panel title={extension?.number ?? " "} back={base}>
        <p>Nothing is set for this extension.</p>
      </Panel>
    );
  if (trouble && !data)
    return (
      <Panel title=" " back={base}>
        <p role="alert">{trouble}</p>
      </Panel>
    );
  if (!data) return <Panel title=" " back={base} children={null} />;
  const title = String(data.value.title || humane(data.name));
  const writable = may("plan:write");
  return (
    <Panel
      title={title}
      back={base}
      subtitle={
        <>
          {kind.title} <code>{data.name}</code> · changed {when(data.changed_at)}
          {data.changed_by && ` by ${data.changed_by}`} ·{" "}
          <a href={`/console/history/${kind.kind}/${encodeURIComponent(name)}`}>History</a>
        </>
      }
    >
      <Form
        key={data.revision}
        fields={formOf(kind)}
        value={{ ...fresh(kind.schema), ...content(data.value) }}
        readOnly={!writable}
        onCancel={() => go(base)}
        onSave={async (value) => {
          await put(path, content(value), data.revision);
          say(`${title} is saved`);
          again();
          onDone();
        }}
        more={
          writable && (
            <button
              type="button"
              class="quiet wrong"
              onClick={async () => {
                if (!(await removeWithUndo(path, title, kind.kind, data.name, onDone))) return;
                go(base);
                onDone();
              }}
            >
              Delete
            </button>
          )
        }
      />
      {kind.kind === POLICY && (
        <Approval
          item={data}
          onDone={() => {
            again();
            onDone();
          }}
        />
      )}
    </Panel>
  );
}
