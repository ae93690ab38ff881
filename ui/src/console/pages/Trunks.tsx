// Trunks: ways to and from other telephone systems.

import { useState } from "preact/hooks";
import { Form } from "../Form";
import { when } from "../labels";
import { Panel } from "../Panel";
import { OneRecord, Records, type Sort } from "../Records";
import { go } from "../route";
import { type Field, field, type Value } from "../schema";
import { patch, post, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

export interface Trunk {
  name: string;
  host: string;
  up: boolean | null;
  reason: string;
  since: string | null;
  calls: number;
  enabled: boolean;
  [more: string]: unknown;
}

const NAME = field(
  "name",
  "text",
  "Name",
  {
    pattern: "^[a-z0-9][a-z0-9-]{0,31}$",
    description: "Small letters, digits and dashes.",
    examples: ["carrier"],
  },
  { required: true },
);
const FIRST: Field[] = [
  field(
    "host",
    "text",
    "Server",
    { description: "Name or IP address, as the carrier says.", examples: ["sip.example.com"] },
    { required: true },
  ),
  field("transport", "choice", "Transport", { enum: ["udp", "tcp", "tls"] }),
  field("username", "text", "User name"),
  field("password", "secret", "Password", {
    description: "Kept sealed and never shown again; empty leaves it as it is.",
  }),
  field("register", "switch", "Register there", {
    description: "So that the carrier knows where to send calls.",
  }),
];
const MORE: Field[] = [
  field("inbound", "choice", "Calls from there prove themselves by", {
    enum: ["none", "address", "digest", "both"],
  }),
  field("prefixes", "texts", "Numbers that go out here", {
    description: "By how they begin; an empty one is all. Where the plan has routes, these say more.",
  }),
  field("caller_id", "text", "Caller ID", { description: "Number shown for all; empty: the caller's own." }),
  field("codecs", "texts", "Codecs", { description: "The only ones spoken there; empty: all." }),
  field("max_calls", "number", "Calls at once", { minimum: 1, maximum: 10_000 }),
  field("priority", "number", "Priority", {
    minimum: 0,
    maximum: 1000,
    description: "The lowest is tried first.",
  }),
  field("transit", "switch", "Its calls may go out by a trunk again"),
  field("enabled", "switch", "In use"),
];
const OUTSIDE = field("outside", "switch", "Calls outside go by it", {
  description: "All numbers, until the plan has routes, and emergency calls in any case.",
});
export const NEW_TRUNK: Value = {
  name: "",
  host: "",
  transport: "udp",
  username: "",
  password: "",
  register: false,
  outside: true,
};

export function state(trunk: Trunk): preact.JSX.Element {
  if (!trunk.enabled) return <span class="tag">off</span>;
  if (trunk.up === null) return <span class="tag">being asked</span>;
  return trunk.up ? <span class="tag good">up</span> : <span class="tag poor">down</span>;
}

const SORT: Sort<Trunk> = {
  kind: "trunk",
  title: "Trunks",
  nouns: ["trunk", "trunks"],
  path: "/trunks",
  writes: "trunks:write",
  keyOf: (one) => one.name,
  nameOf: (one) => `Trunk ${one.name}`,
  columns: [
    { title: "Name", show: (one) => one.name },
    { title: "State", show: state },
    { title: "Server", show: (one) => one.host, minor: true },
    { title: "Calls", show: (one) => one.calls, minor: true },
  ],
  fields: [...FIRST, ...MORE],
  intro: "Ways to and from other telephone systems.",
  empty: <p>No trunks yet: calls stay in the house.</p>,
};

export function TrunksPage({ name }: { name: string | undefined }) {
  return (
    <Records
      sort={SORT}
      chosen={name}
      fresh={(onDone) => (
        <Panel title="New trunk" back="/console/trunks">
          <NewTrunkForm
            onCancel={() => go("/console/trunks")}
            onMade={(made) => {
              onDone();
              go(`/console/trunks/${made.name}`);
            }}
          />
        </Panel>
      )}
      one={(key, onDone) => (
        <OneRecord
          key={key}
          sort={SORT}
          id={key}
          onDone={onDone}
          subtitle={(one) => (
            <>
              {state(one)} {one.reason || (one.since ? `since ${when(one.since)}` : "")}
            </>
          )}
          above={(one, again) => <Test name={one.name} onDone={again} />}
          below={(one, again) => <Numbers trunk={one} writable={may("trunks:write")} onDone={again} />}
        />
      )}
    />
  );
}

export function NewTrunkForm({ onMade, onCancel }: { onMade: (made: Trunk) => void; onCancel: () => void }) {
  return (
    <Form
      fields={[NAME, ...FIRST, OUTSIDE]}
      value={NEW_TRUNK}
      saveWord="Add"
      onCancel={onCancel}
      onSave={async ({ password, outside, ...value }) => {
        const given = { ...value, prefixes: outside ? [""] : [] };
        const made = await post<Trunk>("/trunks", password ? { ...given, password } : given);
        say(`Trunk ${made.name} is added`);
        onMade(made);
      }}
    />
  );
}

function Test({ name, onDone }: { name: string; onDone: () => void }) {
  const [asking, setAsking] = useState(false);
  if (!may("trunks:write")) return null;
  return (
    <div class="buttons">
      <button
        type="button"
        class="quiet"
        disabled={asking}
        onClick={async () => {
          setAsking(true);
          try {
            const found = await post<Trunk>(`/trunks/${encodeURIComponent(name)}/test`);
            say(found.up ? `${name} answers` : `${name}: ${found.reason}`, { wrong: !found.up });
          } catch (error) {
            say(words(error), { wrong: true });
          }
          setAsking(false);
          onDone();
        }}
      >
        {asking ? "Asking…" : "Test it"}
      </button>
    </div>
  );
}

/** Where the numbers of a trunk lead that are called from outside. */
export function Numbers({
  trunk,
  writable,
  onDone,
}: {
  trunk: Trunk;
  writable: boolean;
  onDone: () => void;
}) {
  const dids = (trunk.dids ?? {}) as Record<string, string>;
  const keep = async (next: Record<string, string>): Promise<boolean> => {
    try {
      await patch(`/trunks/${encodeURIComponent(trunk.name)}`, { dids: next });
      onDone();
      return true;
    } catch (error) {
      say(words(error), { wrong: true });
      return false;
    }
  };
  /** What would not come of a call to that number. */
  const look = async (number: string) => {
    const asked = { from: "", from_trunk: trunk.name, to: number };
    const found = await post<{ loops: string[]; dead_ends: string[] }>("/route/simulate", asked).catch(
      () => null,
    );
    const wrong = found?.dead_ends[0] ?? found?.loops[0];
    if (wrong) say(`${number} leads nowhere: ${wrong}`, { wrong: true });
  };
  return (
    <section class="part">
      <h3>Numbers from outside</h3>
      <ul class="links">
        {Object.entries(dids).map(([number, to]) => (
          <li key={number}>
            <code>{number}</code> <span class="soft">leads to</span> <b>{to}</b>{" "}
            {writable && (
              <button
                type="button"
                class="quiet small"
                aria-label={`Take away ${number}`}
                onClick={() =>
                  keep(Object.fromEntries(Object.entries(dids).filter(([one]) => one !== number)))
                }
              >
                Take away
              </button>
            )}
          </li>
        ))}
      </ul>
      {writable && (
        <form
          class="inline"
          onSubmit={async (event) => {
            event.preventDefault();
            const form = event.currentTarget;
            const data = new FormData(form);
            const number = String(data.get("number")).replace(/[\s()./-]/g, "");
            if (!(await keep({ ...dids, [number]: String(data.get("to")).trim() }))) return;
            form.reset();
            look(number);
          }}
        >
          <input name="number" type="tel" aria-label="Number" placeholder="+15550100" required />
          <input name="to" aria-label="Leads to" placeholder="101" inputMode="numeric" required />
          <button type="submit" class="quiet">
            Add
          </button>
        </form>
      )}
    </section>
  );
}
