// Devices: phones with accounts of their own, and the files that set them up.

import { useState } from "preact/hooks";
import { Form } from "../Form";
import { when } from "../labels";
import { Panel } from "../Panel";
import { OneRecord, Records, type Sort } from "../Records";
import { go } from "../route";
import { type Field, field } from "../schema";
import { post, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";
import { FirmwarePanel } from "./Firmware";

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
  user_agent: string;
  firmware: string;
  wanted_firmware: string;
  firmware_state: "behind" | "as-wanted" | "unknown";
  seen_at: string | null;
  address: string | null;
}

type WithPassword = Device & { password: string };

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
const STATES = {
  behind: "Firmware behind",
  "as-wanted": "Firmware as wanted",
  unknown: "Firmware not known",
};

const SORT: Sort<Device> = {
  kind: "device",
  title: "Devices",
  nouns: ["device", "devices"],
  path: "/devices",
  writes: "devices:write",
  keyOf: (one) => one.id,
  nameOf: (one) => one.name,
  columns: [
    { title: "Name", show: (one) => one.name },
    { title: "Extension", show: (one) => one.extension },
    { title: "Model", show: (one) => one.model, minor: true },
    { title: "Firmware", show: firmware },
    { title: "Last seen", show: (one) => when(one.seen_at) || "never", minor: true },
  ],
  fields: LATER,
  intro: "Phones with accounts of their own. Others log in as the extension itself.",
  empty: <p>No devices here.</p>,
};

function firmware(one: Device) {
  return (
    <>
      {one.firmware} {one.firmware_state === "behind" && <span class="tag poor">behind</span>}
    </>
  );
}

export function DevicesPage({ id }: { id: string | undefined }) {
  const [state, setState] = useState("");
  const filter: Record<string, string> = state ? { firmware: state } : {};
  return (
    <Records
      sort={SORT}
      chosen={id}
      filter={filter}
      below={
        <div class="buttons">
          <select
            class="small"
            aria-label="Firmware"
            value={state}
            onChange={(event) => setState(event.currentTarget.value)}
          >
            <option value="">All firmware</option>
            {Object.entries(STATES).map(([one, title]) => (
              <option key={one} value={one}>
                {title}
              </option>
            ))}
          </select>
          <a
            class="button quiet"
            href={`/api/v1/devices/export${state ? `?firmware=${state}` : ""}`}
            download="devices.csv"
          >
            Export
          </a>
          <a class="button quiet" href={`${BACK}/firmware`}>
            Wanted firmware
          </a>
        </div>
      }
      fresh={(onDone) => <NewDevice onDone={onDone} />}
      one={(key, onDone) =>
        key === "firmware" ? (
          <FirmwarePanel onDone={onDone} />
        ) : (
          <OneRecord
            key={key}
            sort={SORT}
            id={key}
            onDone={onDone}
            subtitle={(one) => (
              <>
                logs in as <code>{one.username}</code>
              </>
            )}
            above={(one) => <Seen device={one} />}
            below={(one) => may("devices:write") && <SettingUp device={one} />}
          />
        )
      }
    />
  );
}

/** What the phone said that it is, when it registered. */
function Seen({ device }: { device: Device }) {
  if (!device.seen_at) return <p class="soft">It has not registered yet.</p>;
  const wanted = device.wanted_firmware;
  return (
    <dl class="facts">
      <dt>It says it is</dt>
      <dd>{device.user_agent || "nothing"}</dd>
      <dt>Firmware</dt>
      <dd>
        {firmware(device)} {!device.firmware && "not known"}
        {wanted && device.firmware_state !== "as-wanted" && <span class="soft"> {wanted} is wanted</span>}
      </dd>
      <dt>Registered</dt>
      <dd>
        {when(device.seen_at)}
        {device.address && <span class="soft"> from {device.address}</span>}
      </dd>
    </dl>
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

function SettingUp({ device: data }: { device: Device }) {
  const path = `/devices/${data.id}`;
  const [password, setPassword] = useState<WithPassword | null>(null);
  const [files, setFiles] = useState<{ name: string; content: string }[]>([]);
  const act = async (what: () => Promise<void>) => {
    try {
      await what();
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  return (
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
  );
}
