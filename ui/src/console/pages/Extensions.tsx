// Extensions: the numbers that devices register to.

import { useState } from "preact/hooks";
import { Form } from "../Form";
import { Handout } from "../Handout";
import { label, when } from "../labels";
import { Panel } from "../Panel";
import { OneRecord, Records, type Sort } from "../Records";
import { go } from "../route";
import { field } from "../schema";
import { post, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

interface Extension {
  id: string;
  number: string;
  display_name: string;
  person_id: string | null;
  enabled: boolean;
  digest: string;
  sip_address: string;
  created_at: string;
}

const NUMBER = field(
  "number",
  "text",
  "Number",
  { pattern: "^[1-9][0-9]{1,5}$", maxLength: 6, description: "2 to 6 digits, not 0 first." },
  { required: true },
);
const BACK = "/console/extensions";

const SORT: Sort<Extension> = {
  kind: "extension",
  title: "Extensions",
  nouns: ["extension", "extensions"],
  path: "/extensions",
  writes: "extensions:write",
  keyOf: (one) => one.id,
  historyOf: (one) => one.number,
  nameOf: (one) => `Extension ${one.number}`,
  columns: [
    { title: "Number", show: (one) => one.number },
    { title: "Name shown", show: (one) => one.display_name },
    { title: "State", show: (one) => (one.enabled ? "" : <span class="tag">off</span>), minor: true },
    { title: "Since", show: (one) => when(one.created_at), minor: true },
  ],
  fields: [
    field("display_name", "text", "Name shown", {
      maxLength: 80,
      description: "What other phones show when it calls.",
    }),
    field("person_id", "reference", "Held by", {}, { of: ["person"] }),
    field("enabled", "switch", "In use", { description: "Off: it cannot register, call or be called." }),
    field("digest", "choice", "Phones log in with", {
      enum: ["md5", "sha-256", "both"],
      description: "Many phones know MD5 only.",
    }),
  ],
  empty: (
    <p>
      No extensions yet. <a href="/console/people/new">Add a person</a> with one.
    </p>
  ),
};

export function ExtensionsPage({ id }: { id: string | undefined }) {
  return (
    <Records
      sort={SORT}
      chosen={id}
      fresh={(onDone) => <NewExtension onDone={onDone} />}
      one={(key, onDone) => (
        <OneRecord
          key={key}
          sort={SORT}
          id={key}
          onDone={onDone}
          subtitle={(one) => <code>{one.sip_address}</code>}
          toServer={({ person_id, ...rest }) =>
            person_id === undefined ? rest : { ...rest, person_id: person_id || null }
          }
          warning={(one) =>
            `Delete extension ${one.number}? Its phones are cut off. Undo brings it back, but for the PIN and greetings of its voicemail.`
          }
          below={(one) => <More one={one} />}
        />
      )}
    />
  );
}

function NewExtension({ onDone }: { onDone: () => void }) {
  const [made, setMade] = useState<(Extension & { password: string }) | null>(null);
  if (made)
    return (
      <Panel title={`${made.number} is added`} back={BACK}>
        <Handout name={made.display_name || "its holder"} account={made} />
        <div class="form-actions">
          <a class="button" href={`${BACK}/${made.id}`}>
            Done
          </a>
        </div>
      </Panel>
    );
  return (
    <Panel title="New extension" back={BACK}>
      <Form
        fields={[NUMBER, ...SORT.fields.filter(({ name }) => name !== "enabled")]}
        value={{ number: "", display_name: "", person_id: "", digest: "md5" }}
        saveWord="Add"
        onCancel={() => go(BACK)}
        onSave={async (value) => {
          setMade(await post("/extensions", { ...value, person_id: value.person_id || null }));
          onDone();
        }}
      />
    </Panel>
  );
}

function More({ one: { id, number, display_name } }: { one: Extension }) {
  const [password, setPassword] = useState("");
  return (
    <section class="part">
      <h3>More</h3>
      <ul class="links">
        <li>
          <a href={`/console/plan/answering/${id}`}>{label("always").replace("Always to", "Forwarding")}</a>{" "}
          <span class="soft">and do not disturb</span>
        </li>
        <li>
          <a href={`/console/plan/mailbox/${id}`}>Mailbox</a>
        </li>
      </ul>
      {password && <Handout name={display_name || "its holder"} account={{ number, password }} />}
      {may("extensions:write") && (
        <button
          type="button"
          class="quiet"
          onClick={async () => {
            if (!confirm(`Make a new password for ${number}? Its phones need it from then on.`)) return;
            try {
              setPassword((await post<{ password: string }>(`/extensions/${id}/password`)).password);
            } catch (error) {
              say(words(error), { wrong: true });
            }
          }}
        >
          New password
        </button>
      )}
    </section>
  );
}
