// Recordings: played by the roles that their policy names, with a reason that is written down.

import { useState } from "preact/hooks";
import { humane, lasting, when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { Player } from "../Player";
import { go } from "../route";
import { get, post, remove, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

interface Recording {
  id: string;
  call: string;
  started_at: string;
  seconds: number;
  cut: boolean;
  end_reason: string;
  policy: string;
  mode: string;
  direction: string;
  players: string[];
  playable: boolean;
  keep_until: string | null;
  held: boolean;
  tracks: { part: string; extension: string | null; trunk: string | null; number: string | null }[];
}

interface Details extends Recording {
  consents: { at: string; part: string; extension: string | null; state: string; how: string }[];
  deeds: { at: string; who: string; act: string; reason: string }[];
}

interface Page {
  items: Recording[];
  next: string | null;
}

function asked(extension: string): Record<string, unknown> {
  return { limit: 60, extension: extension || null };
}

export function RecordingsPage({ id }: { id: string | undefined }) {
  const [extension, setExtension] = useState("");
  const [further, setFurther] = useState<Recording[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const { data, trouble, again } = useLoaded(
    async (signal) => {
      const found = await post<Page>("/recordings/search", asked(extension), signal);
      setFurther([]);
      setNext(found.next);
      return found;
    },
    [extension],
  );
  const all = [...(data?.items ?? []), ...further];
  return (
    <div class={`with-panel ${id ? "open" : ""}`}>
      <section class="list">
        <header class="list-head">
          <h1>Recordings</h1>
          <span class="soft">the last first</span>
        </header>
        <div class="filters">
          <input
            type="search"
            aria-label="Extension"
            placeholder="With the voice of extension…"
            inputMode="numeric"
            value={extension}
            onInput={(event) => setExtension(event.currentTarget.value.trim())}
          />
        </div>
        {trouble && (
          <p role="alert" class="wrong">
            {trouble}
          </p>
        )}
        {data && !all.length && (
          <p class="empty">
            Nothing was recorded. <a href="/console/plan/recording-policy">Policies</a> say what is.
          </p>
        )}
        {all.length > 0 && (
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Who</th>
                <th scope="col">Length</th>
                <th scope="col" class="minor">
                  Policy
                </th>
                <th scope="col" class="minor">
                  Kept until
                </th>
              </tr>
            </thead>
            <tbody>
              {all.map((one) => (
                <tr key={one.id} class={one.id === id ? "selected" : ""}>
                  <td>
                    <a class="row-link" href={`/console/recordings/${one.id}`}>
                      {when(one.started_at)}
                    </a>
                  </td>
                  <td>{voices(one)}</td>
                  <td class="num">{lasting(one.seconds)}</td>
                  <td class="minor">{one.policy}</td>
                  <td class="minor">
                    {one.held ? <span class="tag fair">held</span> : when(one.keep_until)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {next && (
          <button
            type="button"
            class="quiet"
            onClick={async () => {
              const found = await post<Page>("/recordings/search", { ...asked(extension), before: next });
              setFurther([...further, ...found.items]);
              setNext(found.next);
            }}
          >
            Earlier recordings
          </button>
        )}
      </section>
      {id && <One key={id} id={id} known={all.find((one) => one.id === id)} onDone={again} />}
    </div>
  );
}

function voices({ tracks }: Recording): string {
  return tracks.map(({ extension, number, trunk }) => extension ?? number ?? trunk ?? "somebody").join(", ");
}

function One({ id, known, onDone }: { id: string; known: Recording | undefined; onDone: () => void }) {
  const reads = may("recordings:read");
  const { data, trouble, again } = useLoaded(
    (signal) => (reads ? get<Details>(`/recordings/${id}`, signal) : Promise.resolve(undefined)),
    [id],
  );
  const [reason, setReason] = useState("");
  const shown = data ?? known;
  const back = "/console/recordings";
  if (!shown) return <Panel title={trouble || " "} back={back} children={null} />;
  const act = async (what: () => Promise<unknown>, said: string): Promise<boolean> => {
    if (reason.trim().length < 3) {
      say("Say why first: it is written down.", { wrong: true });
      return false;
    }
    try {
      await what();
      say(said);
      onDone();
      return true;
    } catch (error) {
      say(words(error), { wrong: true });
      return false;
    }
  };
  const hold = async (what: "hold" | "release") => {
    const said = what === "hold" ? "It is kept until it is released" : "It is released";
    if (await act(() => post(`/recordings/${id}/${what}`, { reason }), said)) again();
  };
  return (
    <Panel
      title={when(shown.started_at)}
      back={back}
      subtitle={`${voices(shown)} · ${lasting(shown.seconds)}`}
    >
      <section>
        <div class="field">
          <label for="reason">Why you play or change it</label>
          <input
            id="reason"
            type="text"
            maxLength={200}
            placeholder="Complaint of 12 March"
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
          <p class="hint">It is written down with your name.</p>
        </div>
        {shown.playable ? (
          reason.trim().length >= 3 ? (
            <ul class="messages">
              <li>
                <span class="grow">All voices</span>
                <Player
                  key={reason}
                  path={`/recordings/${id}/audio`}
                  label="Play all voices"
                  reason={reason}
                />
              </li>
              {shown.tracks.map((track) => (
                <li key={track.part}>
                  <span class="grow">{track.extension ?? track.number ?? track.trunk}</span>
                  <Player
                    key={reason}
                    path={`/recordings/${id}/audio?track=${track.part}`}
                    label={`Play ${track.extension ?? track.part} alone`}
                    reason={reason}
                  />
                </li>
              ))}
            </ul>
          ) : (
            <p class="soft">Say why, then you can play it.</p>
          )
        ) : (
          <p class="soft">
            Your role may not play it. Its policy names: {shown.players.map(humane).join(", ") || "nobody"}.
          </p>
        )}
      </section>
      <section class="part">
        <h3>How it is kept</h3>
        <dl class="facts">
          <dt>Policy</dt>
          <dd>
            <a href={`/console/plan/recording-policy/${shown.policy}`}>{shown.policy}</a>, {shown.mode}
          </dd>
          <dt>Until</dt>
          <dd>{shown.held ? "it is released: a legal hold" : when(shown.keep_until) || "it is deleted"}</dd>
          <dt>Ended</dt>
          <dd>{shown.cut ? `cut: ${shown.end_reason}` : shown.end_reason || "as it should"}</dd>
        </dl>
        <div class="buttons">
          {may("recordings:hold") && (
            <button type="button" class="quiet" onClick={() => hold(shown.held ? "release" : "hold")}>
              {shown.held ? "Release the hold" : "Hold it"}
            </button>
          )}
          {may("recordings:delete") && (
            <button
              type="button"
              class="quiet wrong"
              disabled={shown.held}
              onClick={async () => {
                if (!confirm("Delete this recording for good? Nobody can bring it back.")) return;
                if (await act(() => remove(`/recordings/${id}`, reason), "The recording is gone")) go(back);
              }}
            >
              Delete it
            </button>
          )}
        </div>
      </section>
      {data && (
        <section class="part">
          <h3>What was said and done</h3>
          <ol class="story">
            {data.consents.map((one) => (
              <li key={`${one.at}${one.part}`}>
                {when(one.at)} {one.extension ?? one.part} {one.state} <span class="soft">{one.how}</span>
              </li>
            ))}
            {data.deeds.map((one) => (
              <li key={`${one.at}${one.act}`}>
                {when(one.at)} {one.who} {one.act} <span class="soft">{one.reason}</span>
              </li>
            ))}
          </ol>
        </section>
      )}
    </Panel>
  );
}
