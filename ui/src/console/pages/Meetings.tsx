// Meetings: how people get in, who is in them now, and those that were.

import { useState } from "preact/hooks";
import { Copied } from "../Copied";
import { Form } from "../Form";
import { IN_MEETINGS, useHappenings } from "../happenings";
import { Icon } from "../Icon";
import { count, lasting, when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { OneRecord, Records, type Sort } from "../Records";
import { go } from "../route";
import { field } from "../schema";
import { get, post, put, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

interface Meeting {
  id: string;
  number: string;
  name: string;
  admission: "direct" | "lobby";
  guest_pin: string | null;
  host_pin: string | null;
  link: string | null;
  host_link: string | null;
  dial_in: string;
  created_at: string;
  now: { people: number; waiting: number; locked: boolean } | null;
}

interface Participant {
  id: string;
  name: string;
  number: string | null;
  role: "host" | "guest";
  state: "prompt" | "lobby" | "in";
  muted: boolean;
  hand: boolean;
  talking: boolean;
  via: "phone" | "browser";
  codec: string | null;
  joined_at: string | null;
  received: Line;
  sent: Line;
  round_trip_ms: number | null;
}

interface Line {
  lost_percent: number | null;
  jitter_ms: number | null;
}

interface Past {
  items: {
    began_at: string;
    ended_at: string;
    people: { name: string; number: string; joined_at: string; left_at: string | null; call: string }[];
  }[];
  next: string | null;
}

const BACK = "/console/meetings";
/** Who talks and how lines are is told by no event. */
const LEVELS_MS = 2_000;
const FIELDS = [
  field("name", "text", "Name", { maxLength: 80, examples: ["Weekly"] }, { required: true }),
  field("admission", "choice", "Guests", {
    enum: ["direct", "lobby"],
    description: "The lobby keeps them outside until the host lets them in.",
  }),
];

const SORT: Sort<Meeting> = {
  kind: "meeting",
  title: "Meetings",
  nouns: ["meeting", "meetings"],
  path: "/meetings",
  writes: "meetings:write",
  keyOf: (one) => one.id,
  nameOf: (one) => one.name,
  columns: [
    { title: "Name", show: (one) => one.name },
    { title: "Number", show: (one) => spaced(one.number) },
    { title: "Now", show: ({ now }) => now && <Now now={now} /> },
    { title: "Guests", show: (one) => (one.admission === "lobby" ? "wait in the lobby" : ""), minor: true },
    { title: "Since", show: (one) => when(one.created_at), minor: true },
  ],
  fields: FIELDS,
  intro: "Each has a number to dial and links to open; they stay the same until you change them.",
  empty: <p>No meetings yet.</p>,
};

function spaced(number: string): string {
  return number.replace(/(\d{3})(?=\d)/g, "$1 ");
}

function Now({ now }: { now: NonNullable<Meeting["now"]> }) {
  return (
    <>
      {now.people > 0 && <span class="tag good">{count(now.people, "person", "people")}</span>}{" "}
      {now.waiting > 0 && <span class="tag fair">{now.waiting} waiting</span>}{" "}
      {now.locked && <span class="tag">locked</span>}
    </>
  );
}

export function MeetingsPage({ id }: { id: string | undefined }) {
  return may("events:read") ? <Live id={id} /> : <Meetings id={id} turn={0} />;
}

function Live({ id }: { id: string | undefined }) {
  const [turn, setTurn] = useState(0);
  useHappenings(IN_MEETINGS, () => setTurn((before) => before + 1));
  return <Meetings id={id} turn={turn} />;
}

function Meetings({ id, turn }: { id: string | undefined; turn: number }) {
  return (
    <Records
      sort={SORT}
      chosen={id}
      turn={turn}
      fresh={(onDone) => (
        <Panel title="New meeting" back={BACK}>
          <Form
            fields={FIELDS}
            value={{ name: "", admission: "direct" }}
            saveWord="Add"
            onCancel={() => go(BACK)}
            onSave={async (value) => {
              const made = await post<Meeting>("/meetings", value);
              say(`${made.name} is added`);
              onDone();
              go(`${BACK}/${made.id}`);
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
              {spaced(one.number)} · <code>{one.dial_in}</code>
            </>
          )}
          warning={(one) =>
            one.now?.people ? `${one.name} goes on with ${one.now.people} in it. Delete it?` : ""
          }
          above={(one, again) => (
            <>
              {may("participants:read") && <People meeting={one} turn={turn} />}
              <WayIn meeting={one} onChange={again} />
            </>
          )}
          below={(one) => may("calls:read") && <PastMeetings meeting={one} />}
        />
      )}
    />
  );
}

/** Links, and PINs for who asks for them. */
function WayIn({ meeting, onChange }: { meeting: Meeting; onChange: () => void }) {
  const [shown, setShown] = useState(false);
  const rotate = async (which: "guest" | "host") => {
    if (!confirm(`Make a new PIN for ${which}s? The old one is good for nothing then; links stay.`)) return;
    try {
      await post(`/meetings/${meeting.id}/rotate-pin`, { which });
      setShown(true);
      onChange();
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  if (!meeting.link)
    return <p class="soft">People get in by its number; links and PINs are for administrators.</p>;
  return (
    <section class="part" aria-labelledby="way-in">
      <h3 id="way-in">How people get in</h3>
      <dl class="handover">
        <Copied title="Link for guests" text={meeting.link} shown={withoutToken(meeting.link)} />
        {meeting.host_link && (
          <Copied
            title="Link for the host"
            text={meeting.host_link}
            shown={withoutToken(meeting.host_link)}
          />
        )}
        <Copied title="Number" text={meeting.number} shown={spaced(meeting.number)} />
        {shown && (
          <>
            <Copied title="PIN of guests" text={meeting.guest_pin ?? ""} />
            <Copied title="PIN of the host" text={meeting.host_pin ?? ""} />
          </>
        )}
      </dl>
      <div class="buttons">
        <button type="button" class="quiet" aria-expanded={shown} onClick={() => setShown(!shown)}>
          {shown ? "Hide the PINs" : "Show the PINs"}
        </button>
        {may("meetings:write") && (
          <>
            <button type="button" class="quiet" onClick={() => rotate("guest")}>
              New guest PIN
            </button>
            <button type="button" class="quiet" onClick={() => rotate("host")}>
              New host PIN
            </button>
          </>
        )}
      </div>
    </section>
  );
}

/** What lets people in is copied, and not to be read over a shoulder. */
function withoutToken(link: string): string {
  return `${link.split("#")[0]}#…`;
}

function People({ meeting, turn }: { meeting: Meeting; turn: number }) {
  const path = `/meetings/${meeting.id}`;
  const people = useLoaded((signal) => get<Participant[]>(`${path}/participants`, signal), [path], LEVELS_MS);
  const lock = useLoaded((signal) => get<{ locked: boolean }>(`${path}/lock`, signal), [path], LEVELS_MS);
  const [seen, setSeen] = useState(turn);
  if (seen !== turn) {
    setSeen(turn);
    people.again();
    lock.again();
  }
  const run = async (what: () => Promise<unknown>) => {
    try {
      await what();
    } catch (error) {
      say(words(error), { wrong: true });
    }
    people.again();
    lock.again();
  };
  const act = (verb: string, id?: string) => () =>
    run(() => post(`${path}/participants/${verb}`, id ? { id } : { all: true }));
  const found = people.data ?? [];
  const waiting = found.filter(({ state }) => state === "lobby").length;
  const locked = lock.data?.locked ?? false;
  const chair = may("participants:control");
  return (
    <section class="part" aria-labelledby="in-it">
      <h3 id="in-it">In it now</h3>
      {people.trouble && (
        <p role="alert" class="wrong">
          {people.trouble}
        </p>
      )}
      {people.data && !found.length && <p class="soft">Nobody.</p>}
      {found.length > 0 && (
        <>
          <ul class="people-now" aria-label="Who is in it">
            {found.map((one) => (
              <Person key={one.id} one={one} chair={chair} act={act} />
            ))}
          </ul>
          {chair && (
            <div class="buttons">
              {waiting > 1 && (
                <button type="button" onClick={act("admit")}>
                  Let all {waiting} in
                </button>
              )}
              <button type="button" class="quiet" onClick={act("mute")}>
                Mute all but hosts
              </button>
              <button type="button" class="quiet" onClick={act("unmute")}>
                Unmute all
              </button>
              <button
                type="button"
                class="quiet"
                aria-pressed={locked}
                onClick={() => run(() => put(`${path}/lock`, { locked: !locked }))}
              >
                <Icon of="lock" /> {locked ? "Unlock" : "Lock"}
              </button>
              <button
                type="button"
                class="quiet wrong"
                onClick={() =>
                  confirm(`End ${meeting.name} for ${count(found.length, "person", "people")}?`) &&
                  act("remove")()
                }
              >
                End for everybody
              </button>
            </div>
          )}
        </>
      )}
    </section>
  );
}

const STATES = { prompt: "asked for the PIN", lobby: "waits in the lobby", in: "" } as const;

function Person({
  one,
  chair,
  act,
}: {
  one: Participant;
  chair: boolean;
  act: (verb: string, id?: string) => () => void;
}) {
  const name = one.name || one.number || "Somebody";
  return (
    <li>
      <div class="grow">
        <b>{name}</b> {one.name && one.number && <span class="soft">{one.number}</span>}{" "}
        {one.role === "host" && <span class="tag">host</span>}{" "}
        {STATES[one.state] && <span class="tag fair">{STATES[one.state]}</span>}{" "}
        {one.muted && <span class="tag">muted</span>} {one.hand && <span class="tag fair">hand raised</span>}{" "}
        {one.talking && <span class="tag good">talks</span>}
        <div class="soft">{lineWords(one)}</div>
      </div>
      {chair && (
        <div class="buttons">
          {one.state === "lobby" && (
            <button type="button" class="small" aria-label={`Let ${name} in`} onClick={act("admit", one.id)}>
              Let in
            </button>
          )}
          {one.state === "in" && (
            <button
              type="button"
              class="quiet small"
              aria-label={one.muted ? `Unmute ${name}` : `Mute ${name}`}
              onClick={act(one.muted ? "unmute" : "mute", one.id)}
            >
              {one.muted ? "Unmute" : "Mute"}
            </button>
          )}
          <button
            type="button"
            class="quiet small wrong"
            aria-label={`Remove ${name}`}
            onClick={() => confirm(`End the call of ${name}?`) && act("remove", one.id)()}
          >
            Remove
          </button>
        </div>
      )}
    </li>
  );
}

function lineWords({ via, codec, received, sent, round_trip_ms, joined_at, state }: Participant): string {
  const lost = Math.max(received.lost_percent ?? 0, sent.lost_percent ?? 0);
  return [
    via === "browser" ? "browser" : "phone",
    codec ?? "",
    state === "in" && joined_at ? `since ${when(joined_at)}` : "",
    lost >= 1 ? `${lost.toFixed(0)} % lost` : "",
    round_trip_ms !== null && round_trip_ms > 150 ? `${Math.round(round_trip_ms)} ms there and back` : "",
  ]
    .filter(Boolean)
    .join(", ");
}

function PastMeetings({ meeting }: { meeting: Meeting }) {
  const path = `/meetings/${meeting.id}/past`;
  const { data, trouble } = useLoaded((signal) => get<Past>(path, signal), [path]);
  const [more, setMore] = useState<Past | null>(null);
  const items = [...(data?.items ?? []), ...(more?.items ?? [])];
  const next = more ? more.next : data?.next;
  const further = async () => {
    try {
      const found = await get<Past>(`${path}?after=${next}`);
      setMore({ items: [...(more?.items ?? []), ...found.items], next: found.next });
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  return (
    <section class="part" aria-labelledby="past">
      <h3 id="past">Past meetings</h3>
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {data && !items.length && <p class="soft">None yet.</p>}
      {items.map((one) => (
        <details key={one.began_at} class="past">
          <summary>
            {when(one.began_at)} <span class="soft">{lasting(seconds(one.began_at, one.ended_at))},</span>{" "}
            {count(one.people.length, "call", "calls")}
          </summary>
          <ul class="links">
            {one.people.map((person) => (
              <li key={person.call}>
                <a href={`/console/calls/${person.call}`}>{person.name || person.number || "Somebody"}</a>{" "}
                <span class="soft">
                  {person.name && person.number} came {clock(person.joined_at)}
                  {person.left_at && `, stayed ${lasting(seconds(person.joined_at, person.left_at))}`}
                </span>
              </li>
            ))}
          </ul>
        </details>
      ))}
      {next && (
        <button type="button" class="quiet" onClick={further}>
          Earlier ones
        </button>
      )}
    </section>
  );
}

function seconds(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

function clock(moment: string): string {
  return new Date(moment).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
