// Extensions: the numbers that devices register to.

import { useState } from "preact/hooks";
import { Form } from "../Form";
import { Handout } from "../Handout";
import { List } from "../List";
import { label, when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { go } from "../route";
import type { Field } from "../schema";
import { get, patch, post, remove, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

interface Extension {
  number: string;
  display_name: string;
  person_id: string | null;
  enabled: boolean;
  digest: string;
  sip_address: string;
  created_at: string;
}

const NUMBER: Field = {
  name: "number",
  kind: "text",
  required: true,
  of: [],
  schema: {
    title: "Number",
    pattern: "^[1-9][0-9]{1,5}$",
    maxLength: 6,
    description: "2 to 6 digits, not 0 first.",
  },
};
const FIELDS: Field[] = [
  {
    name: "display_name",
    kind: "text",
    required: false,
    of: [],
    schema: { title: "Name shown", maxLength: 80, description: "What other phones show when it calls." },
  },
  { name: "person_id", kind: "reference", required: false, of: ["person"], schema: { title: "Held by" } },
  {
    name: "enabled",
    kind: "switch",
    required: false,
    of: [],
    schema: { title: "In use", description: "Off: it cannot register, call or be called." },
  },
  {
    name: "digest",
    kind: "choice",
    required: false,
    of: [],
    schema: {
      title: "Phones log in with",
      enum: ["md5", "sha-256", "both"],
      description: "Many phones know MD5 only.",
    },
  },
];

export function ExtensionsPage({ number }: { number: string | undefined }) {
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  return (
    <div class={`with-panel ${number ? "open" : ""}`}>
      <List<Extension>
        title="Extensions"
        nouns={["extension", "extensions"]}
        path="/extensions"
        turn={turn}
        selected={number}
        keyOf={(one) => one.number}
        linkOf={(one) => `/console/extensions/${one.number}`}
        newLink={may("extensions:write") ? "/console/extensions/new" : undefined}
        columns={[
          { title: "Number", show: (one) => one.number },
          { title: "Name shown", show: (one) => one.display_name },
          { title: "State", show: (one) => (one.enabled ? "" : <span class="tag">off</span>), minor: true },
          { title: "Since", show: (one) => when(one.created_at), minor: true },
        ]}
        empty={
          <p>
            No extensions yet. <a href="/console/people/new">Add a person</a> with one.
          </p>
        }
      />
      {number === "new" && <NewExtension onDone={again} />}
      {number && number !== "new" && <OneExtension key={number} number={number} onDone={again} />}
    </div>
  );
}

function NewExtension({ onDone }: { onDone: () => void }) {
  const [made, setMade] = useState<(Extension & { password: string }) | null>(null);
  if (made)
    return (
      <Panel title={`${made.number} is added`} back="/console/extensions">
        <Handout name={made.display_name || "its holder"} account={made} />
        <div class="form-actions">
          <a class="button" href={`/console/extensions/${made.number}`}>
            Done
          </a>
        </div>
      </Panel>
    );
  return (
    <Panel title="New extension" back="/console/extensions">
      <Form
        fields={[NUMBER, ...FIELDS.filter(({ name }) => name !== "enabled")]}
        value={{ number: "", display_name: "", person_id: "", digest: "md5" }}
        saveWord="Add"
        onCancel={() => go("/console/extensions")}
        onSave={async (value) => {
          setMade(await post("/extensions", { ...value, person_id: value.person_id || null }));
          onDone();
        }}
      />
    </Panel>
  );
}

function OneExtension({ number, onDone }: { number: string; onDone: () => void }) {
  const path = `/extensions/${number}`;
  const [password, setPassword] = useState("");
  const { data, trouble, again } = useLoaded((signal) => get<Extension>(path, signal), [path]);
  const back = "/console/extensions";
  if (!data) return <Panel title={trouble || " "} back={back} children={null} />;
  const writable = may("extensions:write");
  return (
    <Panel title={`Extension ${number}`} back={back} subtitle={<code>{data.sip_address}</code>}>
      <Form
        key={JSON.stringify(data)}
        fields={FIELDS}
        value={{ ...data, person_id: data.person_id ?? "" }}
        readOnly={!writable}
        onCancel={() => go(back)}
        onSave={async (value) => {
          const { display_name, enabled, digest, person_id } = value;
          await patch(path, { display_name, enabled, digest, person_id: person_id || null });
          say(`${number} is saved`);
          again();
          onDone();
        }}
        more={
          writable && (
            <button
              type="button"
              class="quiet wrong"
              onClick={async () => {
                if (!confirm(`Delete extension ${number}? Its phones are cut off at once.`)) return;
                try {
                  await remove(path);
                  say(`Extension ${number} is deleted`);
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
      <section class="part">
        <h3>More</h3>
        <ul class="links">
          <li>
            <a href={`/console/plan/answering/${number}`}>
              {label("always").replace("Always to", "Forwarding")}
            </a>{" "}
            <span class="soft">and do not disturb</span>
          </li>
          <li>
            <a href={`/console/plan/mailbox/${number}`}>Mailbox</a>
          </li>
        </ul>
        {password && <Handout name={data.display_name || "its holder"} account={{ number, password }} />}
        {writable && (
          <button
            type="button"
            class="quiet"
            onClick={async () => {
              if (!confirm(`Make a new password for ${number}? Its phones need it from then on.`)) return;
              try {
                setPassword((await post<{ password: string }>(`${path}/password`)).password);
              } catch (error) {
                say(words(error), { wrong: true });
              }
            }}
          >
            New password
          </button>
        )}
      </section>
    </Panel>
  );
}
