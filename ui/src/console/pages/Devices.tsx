// Devices: phones with accounts of their own, and the files that set them up.

import { useState } from "preact/hooks";
import { Form } from "../Form";
import { List } from "../List";
import { when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { go } from "../route";
import type { Field, FieldKind, Schema } from "../schema";
import { get, patch, post, remove, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

interface Device {
  id: string;
  name: string;
  extension: string;
  username: string;
  model: string;
  mac: string;
  location: string;
  digest: string;
  shared: boolean;
  enabled: boolean;
  created_at: string;
}

type WithPassword = Device & { password: string };

function field(
  name: string,
  kind: FieldKind,
  title: string,
  schema: Schema = {},
  more: Partial<Field> = {},
): Field {
  return { name, kind, required: false, of: [], schema: { title, ...schema }, ...more };
}

const FIELDS: Field[] = [
  field("name", "text", "Name", { maxLength: 80, examples: ["Front desk"] }, { required: true }),
  field("extension", "reference", "Registers for", {}, { required: true, of: ["extension"] }),
  field("model", "text", "Model", {
    description: "Yealink and Polycom phones are set up by files; leave it empty for others.",
    examples: ["Yealink T46U"],
  }),
  field("mac", "text", "MAC address", { description: "On the back of the phone: its file is named by it." }),
  field("location", "reference", "Location", { description: "Where help is sent to." }, { of: ["location"] }),
  field("shared", "switch", "Several people use it", { description: "It shows nobody's history." }),
];
const LATER: Field[] = [
  ...FIELDS,
  field("digest", "choice", "Logs in with", {
    enum: ["md5", "sha-256", "both"],
    description: "Many phones know MD5 only.",
  }),
  field("enabled", "switch", "In use", { description: "Off: it cannot register or call." }),
];
const BACK = "/console/devices";

export function DevicesPage({ id }: { id: string | undefined }) {
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  return (
    <div class={`with-panel ${id ? "open" : ""}`}>
      <List<Device>
        title="Devices"
        nouns={["device", "devices"]}
        path="/devices"
        turn={turn}
        selected={id}
        keyOf={(one) => one.id}
        linkOf={(one) => `${BACK}/${one.id}`}
        newLink={may("devices:write") ? `${BACK}/new` : undefined}
        intro="Phones with accounts of their own. Others log in as the extension itself."
        columns={[
          { title: "Name", show: (one) => one.name },
          { title: "Extension", show: (one) => one.extension },
          { title: "Model", show: (one) => one.model, minor: true },
          { title: "Since", show: (one) => when(one.created_at), minor: true },
        ]}
        empty={<p>No devices yet.</p>}
      />
      {id === "new" && <NewDevice onDone={again} />}
      {id && id !== "new" && <OneDevice key={id} id={id} onDone={again} />}
    </div>
  );
}

function NewDevice({ onDone }: { onDone: () => void }) {
  const [made, setMade] = useState<WithPassword | null>(null);
  if (made)
    return (
      <Panel title={`${made.name} is added`} back={BACK}>
        <Account device={made} />
        <div class="form-actions">
          <a class="button" href={`${BACK}/${made.id}`}>
            Done
          </a>
        </div>
      </Panel>
    );
  return (
    <Panel title="New device" back={BACK}>
      <Form
        fields={FIELDS}
        value={{ name: "", extension: "", model: "", mac: "", location: "", shared: false }}
        saveWord="Add"
        onCancel={() => go(BACK)}
        onSave={async (value) => {
          setMade(await post<WithPassword>("/devices", value));
          onDone();
        }}
      />
    </Panel>
  );
}

function Account({ device }: { device: WithPassword }) {
  return (
    <div class="handout" role="status">
      <p>
        <b>Shown this once.</b> What the phone logs in with:
      </p>
      <dl>
        <dt>User name</dt>
        <dd>
          <code>{device.username}</code>
        </dd>
        <dt>Password</dt>
        <dd>
          <code>{device.password}</code>
        </dd>
        <dt>Server</dt>
        <dd>
          <code>{location.hostname}</code>
        </dd>
      </dl>
    </div>
  );
}

function OneDevice({ id, onDone }: { id: string; onDone: () => void }) {
  const path = `/devices/${id}`;
  const { data, trouble, again } = useLoaded((signal) => get<Device>(path, signal), [path]);
  const [password, setPassword] = useState<WithPassword | null>(null);
  const [files, setFiles] = useState<{ name: string; content: string }[]>([]);
  if (!data) return <Panel title={trouble || " "} back={BACK} children={null} />;
  const writable = may("devices:write");
  const act = async (what: () => Promise<void>) => {
    try {
      await what();
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  return (
    <Panel
      title={data.name}
      back={BACK}
      subtitle={
        <>
          logs in as <code>{data.username}</code>
        </>
      }
    >
      <Form
        key={JSON.stringify(data)}
        fields={LATER}
        value={Object.fromEntries(LATER.map(({ name }) => [name, data[name as keyof Device]]))}
        readOnly={!writable}
        onCancel={() => go(BACK)}
        onSave={async (value) => {
          await patch(path, value);
          say(`${value.name} is saved`);
          again();
          onDone();
        }}
        more={
          writable && (
            <button
              type="button"
              class="quiet wrong"
              onClick={() =>
                confirm(`Delete ${data.name}? It is cut off at once.`) &&
                act(async () => {
                  await remove(path);
                  say(`${data.name} is deleted`);
                  go(BACK);
                  onDone();
                })
              }
            >
              Delete
            </button>
          )
        }
      />
      {writable && (
        <section class="part">
          <h3>Setting it up</h3>
          {password && <Account device={password} />}
          {files.map((file) => (
            <p key={file.name}>
              <a
                download={file.name}
                href={URL.createObjectURL(new Blob([file.content], { type: "text/plain" }))}
              >
                {file.name}
              </a>{" "}
              <span class="soft">holds the password: put it where only the phone gets it</span>
            </p>
          ))}
          <div class="buttons">
            <button
              type="button"
              class="quiet"
              onClick={() =>
                confirm(`Make a new password for ${data.name}? It needs it from then on.`) &&
                act(async () => setPassword(await post<WithPassword>(`${path}/password`)))
              }
            >
              New password
            </button>
            {data.model && data.mac && (
              <button
                type="button"
                class="quiet"
                onClick={() =>
                  confirm(`Make the files of ${data.name}, with a new password in them?`) &&
                  act(async () =>
                    setFiles(
                      (await post<{ files: { name: string; content: string }[] }>(`${path}/provision`)).files,
                    ),
                  )
                }
              >
                Make its files
              </button>
            )}
          </div>
        </section>
      )}
    </Panel>
  );
}
