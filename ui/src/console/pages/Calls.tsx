// Calls that were: everybody's for who may see them, one's own for the others.

import { useEffect, useState } from "preact/hooks";
import { Icon, type IconName } from "../Icon";
import { humane, lasting, when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { alive } from "../phone/calls";
import { get, post, words } from "../server";
import { may, you } from "../session";

export interface CallRecord {
  id: string;
  began_at: string;
  duration_s: number | null;
  talk_s: number | null;
  direction: "internal" | "inbound" | "outbound" | string;
  outcome: string;
  caller: string;
  caller_name: string;
  extension: string;
  dialled: string;
  called: string;
  answered_by: string;
  trunks: string[];
  cause: number;
  reason: string;
  words: string;
  mos: number | null;
  quality: string | null;
  emergency: boolean;
  recorded: boolean;
}

interface CallDetail extends CallRecord {
  path: { kind: string; name: string; said: string }[];
  story: string[];
  legs: {
    number: string;
    name: string;
    device: string;
    negotiated: string[];
    encryption: string;
    line: Line | null;
  }[];
}

interface Line {
  lost_percent: number | null;
  jitter_ms: number | null;
  round_trip_ms: number | null;
  mos: number | null;
}

interface Page {
  items: CallRecord[];
  next: string | null;
}

interface Search {
  number: string;
  extension: string;
  direction: string;
  outcome: string;
  since: string;
  until: string;
}

const NOTHING: Search = { number: "", extension: "", direction: "", outcome: "", since: "", until: "" };
const PAUSE_MS = 150;

function asked(search: Search, after: string | null, limit: number): Record<string, unknown> {
  const given = Object.entries(search).filter(([, value]) => value !== "");
  const body: Record<string, unknown> = { ...Object.fromEntries(given), limit };
  // Days as people mean them: whole ones, here.
  if (search.since) body.since = new Date(`${search.since}T00:00`).toISOString();
  if (search.until)
    body.until = new Date(new Date(`${search.until}T00:00`).getTime() + 86_400_000).toISOString();
  if (after) body.after = after;
  return body;
}

export function CallsPage({ id }: { id: string | undefined }) {
  const [search, setSearch] = useState(NOTHING);
  const [page, setPage] = useState<Page | null>(null);
  const [trouble, setTrouble] = useState("");
  const everybody = may("calls:read");
  useEffect(() => {
    let stale = false;
    const timer = setTimeout(async () => {
      try {
        const found = await post<Page>("/call-records/search", asked(search, null, 60));
        if (stale) return;
        setPage(found);
        setTrouble("");
      } catch (error) {
        if (!stale) setTrouble(words(error));
      }
    }, PAUSE_MS);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [JSON.stringify(search)]);
  const further = async () => {
    if (!page?.next) return;
    try {
      const found = await post<Page>("/call-records/search", asked(search, page.next, 60));
      setPage({ items: [...page.items, ...found.items], next: found.next });
    } catch (error) {
      setTrouble(words(error));
    }
  };
  const set = (name: keyof Search) => (event: { currentTarget: { value: string } }) =>
    setSearch({ ...search, [name]: event.currentTarget.value.trim() });
  return (
    <div class={`with-panel ${id ? "open" : ""}`}>
      <section class="list">
        <header class="list-head">
          <h1>Calls</h1>
          <span class="soft">{everybody ? "Everybody’s" : "Your own"}, the last first</span>
          <span class="spread" />
          <button type="button" class="quiet" onClick={() => download(search)}>
            <Icon of="download" /> CSV
          </button>
        </header>
        <div class="filters">
          {(!everybody || may("numbers:read")) && (
            <input
              type="search"
              aria-label="Number"
              placeholder="Number, whole"
              value={search.number}
              onInput={set("number")}
            />
          )}
          {everybody && may("numbers:read") && (
            <input
              type="search"
              aria-label="Extension"
              placeholder="Extension"
              value={search.extension}
              onInput={set("extension")}
            />
          )}
          <select aria-label="Direction" value={search.direction} onChange={set("direction")}>
            <option value="">Any direction</option>
            {["internal", "inbound", "outbound"].map((one) => (
              <option key={one} value={one}>
                {humane(one)}
              </option>
            ))}
          </select>
          <select aria-label="Outcome" value={search.outcome} onChange={set("outcome")}>
            <option value="">Any outcome</option>
            {OUTCOMES.map((one) => (
              <option key={one} value={one}>
                {humane(one)}
              </option>
            ))}
          </select>
          <input type="date" aria-label="First day" value={search.since} onChange={set("since")} />
          <input type="date" aria-label="Last day" value={search.until} onChange={set("until")} />
        </div>
        {trouble && (
          <p role="alert" class="wrong">
            {trouble}
          </p>
        )}
        {page && !page.items.length && !trouble && <p class="empty">No calls.</p>}
        {page && page.items.length > 0 && (
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col">What became of it</th>
                <th scope="col" class="minor">
                  Talked
                </th>
                <th scope="col" class="minor">
                  Quality
                </th>
              </tr>
            </thead>
            <tbody>
              {page.items.map((one) => (
                <tr key={one.id} class={one.id === id ? "selected" : ""}>
                  <td>
                    <a class="row-link" href={`/console/calls/${one.id}`}>
                      {when(one.began_at)}
                    </a>
                  </td>
                  <td>{one.caller_name || one.caller || "unknown"}</td>
                  <td>{one.dialled || one.called}</td>
                  <td>{outcomeWords(one)}</td>
                  <td class="minor num">{lasting(one.talk_s)}</td>
                  <td class="minor">{one.quality && <Quality quality={one.quality} mos={one.mos} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        {page?.next && (
          <button type="button" class="quiet" onClick={further}>
            Earlier calls
          </button>
        )}
      </section>
      {id && <OneCall key={id} id={id} />}
    </div>
  );
}

const OUTCOMES = ["answered", "abandoned", "busy", "no-answer", "cancelled", "refused", "failed", "interrupted"];

function outcomeWords(one: CallRecord): string {
  if (one.emergency) return `Emergency call, ${one.outcome}`;
  return one.outcome === "answered" && one.answered_by
    ? `Answered by ${one.answered_by}`
    : humane(one.outcome);
}

function Quality({ quality, mos }: { quality: string; mos: number | null }) {
  const mark = quality === "high" ? "good" : quality === "medium" ? "fair" : "poor";
  return <span class={`tag ${mark}`}>{mos === null ? quality : `${quality}, ${mos.toFixed(1)}`}</span>;
}

async function download(search: Search): Promise<void> {
  const body = asked(search, null, 1);
  delete body.limit;
  const answer = await fetch("/api/v1/call-records/export", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Ringback": "1" },
    body: JSON.stringify({ ...body, format: "csv" }),
  });
  if (!answer.ok) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = "calls.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function OneCall({ id }: { id: string }) {
  const { data, trouble } = useLoaded((signal) => get<CallDetail>(`/call-records/${id}`, signal), [id]);
  const back = "/console/calls";
  if (!data) return <Panel title={trouble || " "} back={back} children={null} />;
  return (
    <Panel
      title={`${data.caller_name || data.caller || "Unknown"} → ${data.dialled || data.called}`}
      back={back}
      subtitle={`${when(data.began_at)} · ${outcomeWords(data)}${data.talk_s === null ? "" : ` · ${lasting(data.talk_s)}`}`}
    >
      <section>
        <h3>What happened</h3>
        <ol class="story">
          {data.story.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ol>
      </section>
      {data.path.length > 0 && (
        <section class="part">
          <h3>By which rules</h3>
          <ol class="story">
            {data.path.map(({ kind, name, said }) => (
              <li key={`${kind}${name}${said}`}>
                {humane(kind)} <b>{name}</b> <span class="soft">{said}</span>
              </li>
            ))}
          </ol>
        </section>
      )}
      <section class="part">
        <h3>Sides</h3>
        {data.legs.map((leg, index) => (
          <dl key={`${index}${leg.number}`} class="facts leg">
            <dt>{leg.name || leg.number || "unknown"}</dt>
            <dd>
              {humane(leg.device)}
              {leg.negotiated.length > 0 && `, ${leg.negotiated.join(", ")}`}
              {leg.encryption && `, ${leg.encryption}`}
            </dd>
            {leg.line && (
              <>
                <dt>Its line</dt>
                <dd>{lineWords(leg.line)}</dd>
              </>
            )}
          </dl>
        ))}
      </section>
      {data.recorded && (
        <p class="part">
          It was recorded. <a href="/console/recordings">Recordings</a>
        </p>
      )}
    </Panel>
  );
}

function lineWords({ lost_percent, jitter_ms, round_trip_ms, mos }: Line): string {
  return [
    lost_percent === null ? "" : `${lost_percent.toFixed(1)} % lost`,
    jitter_ms === null ? "" : `${Math.round(jitter_ms)} ms jitter`,
    round_trip_ms === null ? "" : `${Math.round(round_trip_ms)} ms there and back`,
    mos === null ? "" : `MOS ${mos.toFixed(1)}`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** The calls of the phone page: whom to call back. */
export function OwnCalls({ onCall }: { onCall: (number: string, name?: string) => void }) {
  const mine = you.value?.extensions ?? [];
  const search = may("calls:read") ? { ...NOTHING, extension: mine[0] ?? "" } : NOTHING;
  const { data, again } = useLoaded(
    () => post<Page>("/call-records/search", asked(search, null, 40)),
    [mine],
  );
  const going = alive.value.length;
  // A call that ended a moment ago is written down a moment later.
  useEffect(() => {
    const timer = setTimeout(again, 1500);
    return () => clearTimeout(timer);
  }, [going]);
  if (!data) return <div />;
  return (
    <section aria-labelledby="own-calls">
      <h2 id="own-calls">Your calls</h2>
      {!data.items.length && <p class="soft">None yet.</p>}
      <ul class="own-calls">
        {data.items.map((one) => {
          const out = mine.includes(one.extension) || mine.includes(one.caller);
          const missed = !out && one.outcome !== "answered";
          const number = out ? one.dialled : one.caller;
          const icon: IconName = out ? "outgoing" : missed ? "missed" : "incoming";
          return (
            <li key={one.id}>
              <span class={missed ? "missed" : "soft"}>
                <Icon of={icon} />
                <span class="unseen">{out ? "Outgoing" : missed ? "Missed" : "Incoming"}</span>
              </span>
              <a class="grow" href={`/console/calls/${one.id}`}>
                {(!out && one.caller_name) || number || "Unknown"}
              </a>
              <span class="soft num">{one.talk_s === null ? humane(one.outcome) : lasting(one.talk_s)}</span>
              <span class="soft">{when(one.began_at)}</span>
              {number && (
                <button
                  type="button"
                  class="icon-button"
                  aria-label={`Call ${number}`}
                  onClick={() => onCall(number)}
                >
                  <Icon of="phone" />
                </button>
              )}
            </li>
          );
        })}
      </ul>
    </section>
  );
}
