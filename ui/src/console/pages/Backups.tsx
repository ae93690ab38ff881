// Backups: when the last was made and read through, what failed, and how to restore one.

import { useState } from "preact/hooks";
import { Copied } from "../Copied";
import { count, humane, when } from "../labels";
import { useLoaded } from "../loading";
import { get, post, remove, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

interface Backup {
  id: string;
  file: string;
  created_at: string | null;
  octets: number;
  problem: string;
  verified_at: string | null;
  damage: string;
}

export interface Backups {
  restore: string;
  folder: string | null;
  every_h: number;
  keep: number;
  making: { id: string; act: "making" | "verifying"; done: number; total: number } | null;
  last_at: string | null;
  next_at: string | null;
  failed_at: string | null;
  problem: string;
  folders: { folder: string; problem: string; waiting: number; backups: Backup[] }[];
}

interface Deed {
  at: string;
  who: string;
  act: string;
  what: string;
}

const EVERY_MS = 5_000;
/** While one is made. */
const OFTEN_MS = 700;

export function BackupsPage() {
  const [busy, setBusy] = useState(false);
  const { data, trouble, again } = useLoaded(
    async (signal) => {
      const found = await get<Backups>("/backups", signal);
      setBusy(found.making !== null);
      return found;
    },
    [],
    busy ? OFTEN_MS : EVERY_MS,
  );
  const deeds = useLoaded(
    (signal) => get<Deed[]>("/backups/deeds", signal),
    [data?.making?.id ?? "", data?.making?.act ?? "", data?.last_at ?? ""],
  );
  if (!data) return <section class="page">{trouble && <p role="alert">{trouble}</p>}</section>;
  const all = data.folders
    .flatMap(({ backups }) => backups)
    .sort((one, other) => (other.created_at ?? "").localeCompare(one.created_at ?? ""));
  const [newest] = all;
  const read = all.filter(({ verified_at, damage }) => verified_at && !damage);
  const verified = read.map(({ verified_at }) => verified_at ?? "").sort();
  const act = async (what: () => Promise<unknown>) => {
    try {
      await what();
    } catch (error) {
      say(words(error), { wrong: true });
    }
    again();
    deeds.again();
  };
  const writes = may("backups:write");
  return (
    <section class="page">
      <header class="list-head">
        <h1>Backups</h1>
        <span class="spread" />
        {writes && (
          <button
            type="button"
            disabled={data.making !== null || !data.folder}
            onClick={() => act(() => post("/backups", { verify: true }))}
          >
            Make one and verify it
          </button>
        )}
      </header>
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      <dl class="figures">
        <Figure title="Last made" value={when(data.last_at) || "never"} />
        <Figure title="Last verified" value={when(verified.at(-1)) || "never"} />
        <Figure title="Size of the newest" value={newest ? size(newest.octets) : "–"} />
        <Figure title="Next" value={when(data.next_at) || "when asked for"} />
      </dl>
      {data.making && <Progress making={data.making} />}
      {data.problem && (
        <p role="alert" class="wrong">
          {when(data.failed_at)} one could not be made: {data.problem}
        </p>
      )}
      {data.folders
        .filter(({ problem, waiting }) => problem || waiting)
        .map((one) => (
          <p key={one.folder} role="alert" class="wrong">
            {one.problem || one.folder}
            {one.waiting > 0 &&
              ` – ${count(one.waiting, "deleted voice is", "deleted voices are")} still in its backups.`}
          </p>
        ))}
      {!data.folder && (
        <p>
          None is made here, because no folder is set: <code>backup.folder</code> in the settings file, best
          on another disk.
        </p>
      )}
      {all.length > 0 && (
        <section class="part">
          <h2>Those there are</h2>
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">Made</th>
                <th scope="col">State</th>
                <th scope="col">Size</th>
                <th scope="col" class="minor">
                  File
                </th>
                {writes && (
                  <th scope="col">
                    <span class="unseen">What can be done</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {all.map((one) => (
                <tr key={one.file}>
                  <td>{when(one.created_at)}</td>
                  <td>
                    <State one={one} />
                  </td>
                  <td class="num">{size(one.octets)}</td>
                  <td class="minor file">{one.file}</td>
                  {writes && (
                    <td>
                      <span class="buttons">
                        <button
                          type="button"
                          class="quiet small"
                          aria-label={`Verify that of ${when(one.created_at)}`}
                          disabled={data.making !== null}
                          onClick={() => act(() => post(`/backups/${one.id}/verify`))}
                        >
                          Verify
                        </button>
                        <button
                          type="button"
                          class="quiet small wrong"
                          aria-label={`Delete that of ${when(one.created_at)}`}
                          onClick={() =>
                            confirm(`Delete the backup of ${when(one.created_at)}? It does not come back.`) &&
                            act(() => remove(`/backups/${one.id}`))
                          }
                        >
                          Delete
                        </button>
                      </span>
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <section class="part">
        <h2>Restoring</h2>
        {data.restore ? (
          <>
            <p>
              A backup is restored by a command, into a new folder, never over what there is. With your copies
              of the key files on the machine:
            </p>
            <dl class="handover">
              <Copied title="The newest that is whole" text={data.restore} />
            </dl>
            <p class="soft">
              Put a folder that is not there yet and your copy of the sealing key in place of the words in
              capitals. The command says what to do then.
            </p>
          </>
        ) : (
          <p class="soft">There is no backup to restore.</p>
        )}
      </section>
      {Boolean(deeds.data?.length) && (
        <section class="part">
          <h2>What was done</h2>
          <ul class="links">
            {deeds.data?.slice(0, 30).map((one) => (
              <li key={`${one.at}${one.act}`}>
                {humane(one.act)}{" "}
                <span class="soft">
                  {when(one.at)} by {one.who}: <span class="file">{one.what}</span>
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </section>
  );
}

function State({ one }: { one: Backup }) {
  const wrong = one.problem || one.damage;
  if (wrong)
    return (
      <>
        <span class="tag poor">damaged</span> <span class="soft">{wrong}</span>
      </>
    );
  if (!one.verified_at) return <span class="tag">not verified</span>;
  return (
    <>
      <span class="tag good">verified</span> <span class="soft">{when(one.verified_at)}</span>
    </>
  );
}

function Progress({ making: { act, done, total } }: { making: NonNullable<Backups["making"]> }) {
  const title = act === "making" ? "It is being written" : "It is being read through";
  return (
    <div class="part" role="status">
      <p>{title}…</p>
      <progress aria-label={title} max={total || 1} {...(total ? { value: done } : {})} />
    </div>
  );
}

function Figure({ title, value }: { title: string; value: string }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd class="small">{value}</dd>
    </div>
  );
}

function size(octets: number): string {
  if (octets < 1e6) return `${Math.max(1, Math.round(octets / 1e3))} kB`;
  return octets < 1e9 ? `${(octets / 1e6).toFixed(1)} MB` : `${(octets / 1e9).toFixed(1)} GB`;
}
