// Trunks: ways to and from other telephone systems.

import { useState } from "preact/hooks";
import { Form } from "../Form";
import { List } from "../List";
import { when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { go } from "../route";
import type { Field, FieldKind, Schema, Value } from "../schema";
import { get, patch, post, remove, words } from "../server";
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

function field(name: string, kind: FieldKind, title: string, schema: Schema = {}, required = false): Field {
  return { name, kind, required, of: [], schema: { title, ...schema } };
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
  true,
);
const FIRST: Field[] = [
  field(
    "host",
    "text",
    "Server",
    { description: "Name or IP address, as the carrier says.", examples: ["sip.example.com"] },
    true,
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

export function TrunksPage({ name }: { name: string | undefined }) {
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  return (
    <div class={`with-panel ${name ? "open" : ""}`}>
      <List<Trunk>
        title="Trunks"
        nouns={["trunk", "trunks"]}
        path="/trunks"
        turn={turn}
        selected={name}
        keyOf={(one) => one.name}
        linkOf={(one) => `/console/trunks/${one.name}`}
        newLink={may("trunks:write") ? "/console/trunks/new" : undefined}
        intro="Ways to and from other telephone systems."
        columns={[
          { title: "Name", show: (one) => one.name },
          { title: "State", show: state },
          { title: "Server", show: (one) => one.host, minor: true },
          { title: "Calls", show: (one) => one.calls, minor: true },
        ]}
        empty={<p>No trunks yet: calls stay in the house.</p>}
      />
      {name === "new" && (
        <Panel title="New trunk" back="/console/trunks">
          <NewTrunkForm
            onCancel={() => go("/console/trunks")}
            onMade={(made) => {
              again();
              go(`/console/trunks/${made.name}`);
            }}
          />
        </Panel>
      )}
      {name && name !== "new" && <OneTrunk key={name} name={name} onDone={again} />}
    </div>
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

function OneTrunk({ name, onDone }: { name: string; onDone: () => void }) {
  const path = `/trunks/${encodeURIComponent(name)}`;
  const { data, trouble, again } = useLoaded((signal) => get<Trunk>(path, signal), [path]);
  const [asking, setAsking] = useState(false);
  const back = "/console/trunks";
  if (!data) return <Panel title={trouble || " "} back={back} children={null} />;
  const fields = [...FIRST, ...MORE];
  const writable = may("trunks:write");
  const value: Value = Object.fromEntries(fields.map((one) => [one.name, data[one.name] ?? ""]));
  return (
    <Panel
      title={`Trunk ${name}`}
      back={back}
      subtitle={
        <>
          {state(data)} {data.reason || (data.since ? `since ${when(data.since)}` : "")}
        </>
      }
    >
      {writable && (
        <div class="buttons">
          <button
            type="button"
            class="quiet"
            disabled={asking}
            onClick={async () => {
              setAsking(true);
              try {
                const found = await post<Trunk>(`${path}/test`);
                say(found.up ? `${name} answers` : `${name}: ${found.reason}`, { wrong: !found.up });
              } catch (error) {
                say(words(error), { wrong: true });
              }
              setAsking(false);
              again();
              onDone();
            }}
          >
            {asking ? "Asking…" : "Test it"}
          </button>
        </div>
      )}
      <Form
        key={JSON.stringify(value)}
        fields={fields}
        value={value}
        readOnly={!writable}
        onCancel={() => go(back)}
        onSave={async (next) => {
          const changed = Object.entries(next).filter(
            ([key, one]) => JSON.stringify(one) !== JSON.stringify(value[key]) && (key !== "password" || one),
          );
          await patch(path, Object.fromEntries(changed));
          say(`Trunk ${name} is saved`);
          again();
          onDone();
        }}
        more={
          writable && (
            <button
              type="button"
              class="quiet wrong"
              onClick={async () => {
                if (!confirm(`Delete trunk ${name}? Calls by it go on; new ones do not.`)) return;
                try {
                  await remove(path);
                  say(`Trunk ${name} is deleted`);
                  go(back);
                  onDone();
                } catch (error) {
                  say(words(error), { wrong: true });
                }
              }}
            >
              Delete
            </button>
          )
        }
      />
      <Numbers trunk={data} path={path} writable={writable} onDone={again} />
    </Panel>
  );
}

/** Where the numbers of a trunk lead that are called from outside. */
export function Numbers({
  trunk,
  path,
  writable,
  onDone,
}: {
  trunk: Trunk;
  path: string;
  writable: boolean;
  onDone: () => void;
}) {
  const dids = (trunk.dids ?? {}) as Record<string, string>;
  const keep = async (next: Record<string, string>): Promise<boolean> => {
    try {
      await patch(path, { dids: next });
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
