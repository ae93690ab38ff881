// How the system is doing, as it is now.

import { ExtensionLink } from "../ExtensionLink";
import { count, lasting, when } from "../labels";
import { useLoaded } from "../loading";
import { get } from "../server";
import { may } from "../session";
import type { Backups } from "./Backups";

interface Status {
  version: string;
  ready: boolean;
  waiting_for: string[];
  started_at: string;
  uptime_s: number;
  addresses: Record<string, string>;
  calls: number;
  meetings: number;
  registrations: number;
  media: { pid: number | null; legs: number; busy_fraction: number }[];
  trunks: { name: string; up: boolean | null; reason: string; since: string }[];
}

interface Call {
  id: string;
  state: "ringing" | "answered";
  from_name: string;
  from_number: string | null;
  to_number: string | null;
  started_at: string;
  answered_at: string | null;
  codec: string | null;
}

interface Registration {
  number: string;
  transport: string;
  user_agent: string;
  expires_at: string;
}

const EVERY_MS = 2_500;

export function StatusPage() {
  const status = useLoaded((signal) => get<Status>("/status", signal), [], EVERY_MS);
  const calls = useLoaded(
    (signal) => (may("calls:read") ? get<Call[]>("/calls", signal) : Promise.resolve([])),
    [],
    EVERY_MS,
  );
  const registrations = useLoaded(
    (signal) =>
      may("registrations:read") ? get<Registration[]>("/registrations", signal) : Promise.resolve([]),
    [],
    EVERY_MS * 4,
  );
  const now = status.data;
  if (!now) return <section class="page">{status.trouble && <p role="alert">{status.trouble}</p>}</section>;
  return (
    <section class="page">
      <header class="list-head">
        <h1>Status</h1>
        <span class={`tag ${now.ready ? "good" : "poor"}`}>
          {now.ready ? "Ready for calls" : `Not ready: ${now.waiting_for.join(", ")}`}
        </span>
      </header>
      {status.trouble && (
        <p role="alert" class="wrong">
          {status.trouble}
        </p>
      )}
      <dl class="figures">
        <Figure title="Calls" value={now.calls} />
        <Figure title="Meetings" value={now.meetings} />
        <Figure title="Devices" value={now.registrations} />
        <Figure title="Running for" value={uptime(now.uptime_s)} />
      </dl>
      {now.trunks.length > 0 && (
        <section class="part">
          <h2>Trunks</h2>
          <ul class="links">
            {now.trunks.map((one) => (
              <li key={one.name}>
                <a href={`/console/trunks/${one.name}`}>{one.name}</a>{" "}
                <span class={`tag ${one.up === null ? "" : one.up ? "good" : "poor"}`}>
                  {one.up === null ? "being asked" : one.up ? "up" : "down"}
                </span>{" "}
                <span class="soft">{one.reason || `since ${when(one.since)}`}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section class="part">
        <h2>Calls now</h2>
        {!calls.data?.length && <p class="soft">Nobody is on the phone.</p>}
        {Boolean(calls.data?.length) && (
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col">State</th>
                <th scope="col" class="minor">
                  Codec
                </th>
              </tr>
            </thead>
            <tbody>
              {calls.data?.map((one) => (
                <tr key={one.id}>
                  <td>{one.from_name || one.from_number}</td>
                  <td>{one.to_number}</td>
                  <td>
                    {one.state === "ringing"
                      ? "rings"
                      : lasting((Date.now() - Date.parse(one.answered_at ?? one.started_at)) / 1000)}
                  </td>
                  <td class="minor">{one.codec}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </section>
      <section class="part">
        <h2>Devices</h2>
        <p class="soft">
          {count(registrations.data?.length ?? 0, "device can be called", "devices can be called")}.
        </p>
        <ul class="links devices-now">
          {registrations.data?.slice(0, 100).map((one) => (
            <li key={`${one.number}${one.transport}${one.user_agent}`}>
              <ExtensionLink number={one.number} />{" "}
              <span class="soft">
                {one.user_agent || "a phone"} by {one.transport}
              </span>
            </li>
          ))}
        </ul>
      </section>
      {may("backups:read") && <BackupsPart />}
      <section class="part">
        <h2>Server</h2>
        <dl class="facts">
          <dt>Version</dt>
          <dd>{now.version}</dd>
          {Object.entries(now.addresses).map(([name, address]) => (
            <>
              <dt>{name.toUpperCase()}</dt>
              <dd>
                <code>{address}</code>
              </dd>
            </>
          ))}
          {now.media.map((one, index) => (
            <>
              <dt>Media {index + 1}</dt>
              <dd>
                {count(one.legs, "leg", "legs")}, {Math.round(one.busy_fraction * 100)} % busy
              </dd>
            </>
          ))}
        </dl>
      </section>
    </section>
  );
}

/** When the last backup was made, and what is wrong with them. */
function BackupsPart() {
  const { data, trouble } = useLoaded((signal) => get<Backups>("/backups", signal), [], EVERY_MS * 4);
  if (!data) return trouble ? <p role="alert">{trouble}</p> : null;
  const away = data.folders.filter((one) => one.problem || one.waiting);
  const damaged = data.folders.flatMap(({ backups }) => backups).filter(({ damage }) => damage).length;
  return (
    <section class="part">
      <h2>Backups</h2>
      <p>
        <span class={`tag ${data.problem ? "poor" : data.last_at ? "good" : ""}`}>
          {data.problem ? "failed" : data.last_at ? "made" : "none yet"}
        </span>{" "}
        <span class="soft">
          {data.last_at ? `The last one: ${when(data.last_at)}.` : "There is no backup."}
          {data.making?.act === "making" && " One is being made now."}
          {!data.folder && " None is made without being asked for: backup.folder is not set."}
        </span>{" "}
        <a href="/console/backups">All of it</a>
      </p>
      {data.problem && (
        <p role="alert" class="wrong">
          {when(data.failed_at)}: {data.problem}
        </p>
      )}
      {damaged > 0 && (
        <p role="alert" class="wrong">
          {count(damaged, "backup is", "backups are")} damaged.
        </p>
      )}
      {away.map((one) => (
        <p key={one.folder} role="alert" class="wrong">
          {one.problem || one.folder}
          {one.waiting > 0 &&
            ` – ${count(one.waiting, "deleted voice is", "deleted voices are")} still in its backups.`}
        </p>
      ))}
    </section>
  );
}

function Figure({ title, value }: { title: string; value: string | number }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function uptime(seconds: number): string {
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return count(Math.floor(seconds / 86_400), "day", "days");
}
