// The phone: whom to call, the calls that go on, and those that were.

import { useEffect, useRef, useState } from "preact/hooks";
import { TroubleBox } from "../../parts/TroubleBox";
import { PlaceField } from "../fields/PlaceField";
import { Icon, type IconName } from "../Icon";
import { Lasting } from "../phone/CallBar";
import { account, alive, type Call, calls, dialString, line, trouble, whom } from "../phone/calls";
import type { Line } from "../phone/line";
import { thePhone } from "../phone/opening";
import type { Place } from "../places";
import { you } from "../session";
import { isTyping } from "../typing";
import { OwnAnswering } from "./Answering";
import { OwnCalls } from "./Calls";

const KEYS: [string, string][] = [
  ["1", ""],
  ["2", "abc"],
  ["3", "def"],
  ["4", "ghi"],
  ["5", "jkl"],
  ["6", "mno"],
  ["7", "pqrs"],
  ["8", "tuv"],
  ["9", "wxyz"],
  ["*", ""],
  ["0", "+"],
  ["#", ""],
];

export function PhonePage() {
  const [typed, setTyped] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (you.value?.extensions.length) thePhone().then((phone) => phone.open());
  }, []);
  if (!you.value?.extensions.length)
    return (
      <section class="page narrow">
        <h1>Phone</h1>
        <p>
          You have no extension, so nobody can call you here. Whoever runs this system can give you one
          {you.value?.role === "admin" && (
            <>
              : <a href="/console/people">choose a person</a>, and let them log in
            </>
          )}
          .
        </p>
      </section>
    );
  const call = async (number: string, name = "") => {
    if (!dialString(number)) return;
    setTyped("");
    (await thePhone()).call(number, name);
  };
  return (
    <section class="page phone">
      <div class="phone-main">
        <LineWords />
        {trouble.value && <TroubleBox trouble={trouble.value} />}
        <CallCards />
        <form
          class="dial card"
          onSubmit={(event) => {
            event.preventDefault();
            call(typed);
          }}
        >
          <DialField
            input={input}
            typed={typed}
            onType={setTyped}
            onPick={({ number, title }) => call(number, title === number ? "" : title)}
          />
          <div class="pad">
            {KEYS.map(([key, letters]) => (
              <button
                key={key}
                type="button"
                class="quiet"
                onClick={() => {
                  setTyped(typed + key);
                  input.current?.focus();
                }}
              >
                <b>{key}</b>
                <span aria-hidden="true">{letters}</span>
              </button>
            ))}
          </div>
          <div class="dial-actions">
            <button type="submit" class="call-button" disabled={!dialString(typed) || line.value !== "ready"}>
              <Icon of="phone" /> Call
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label="Take back the last digit"
              disabled={!typed}
              onClick={() => setTyped(typed.slice(0, -1))}
            >
              <Icon of="backspace" />
            </button>
          </div>
        </form>
        <p class="soft">
          <button
            type="button"
            class="quiet small"
            disabled={line.value !== "ready"}
            onClick={() => call(you.value?.echo_number ?? "", "Echo test")}
          >
            Test the sound
          </button>{" "}
          You should hear yourself.
        </p>
      </div>
      <div>
        <OwnCalls onCall={call} />
        <OwnAnswering extension={you.value.extensions[0] ?? ""} id={you.value.extension_ids[0] ?? ""} />
      </div>
    </section>
  );
}

function LineWords() {
  const words: Record<typeof line.value, string> = {
    off: "Opening…",
    opening: "Opening…",
    ready: "Ready",
    lost: "The connection is lost; trying again…",
    refused: "Not registered",
  };
  const mark =
    line.value === "ready" ? "good" : line.value === "lost" || line.value === "refused" ? "poor" : "fair";
  return (
    <header class="line-words">
      <h1>{account.value?.name || you.value?.name}</h1>
      <p class="soft" role="status">
        <span class={`tag ${mark}`}>{words[line.value]}</span>{" "}
        {account.value && <span>Extension {account.value.extension}</span>}
      </p>
      {"Notification" in window && Notification.permission === "default" && (
        <button type="button" class="quiet small" onClick={() => Notification.requestPermission()}>
          Tell me of calls while I am elsewhere
        </button>
      )}
    </header>
  );
}

interface DialProps {
  input: { current: HTMLInputElement | null };
  typed: string;
  onType: (typed: string) => void;
  onPick: (place: Place) => void;
}

/** A number, or the name of somebody or something in the house. */
function DialField(props: DialProps) {
  const { input } = props;
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (/^[0-9*#+]$/.test(event.key) && !alive.value.length) input.current?.focus();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [input]);
  return <PlaceField class="number" label="Name or number" {...props} />;
}

export function CallCards() {
  return (
    <section class="calls" aria-label="Calls that go on" aria-live="polite">
      {calls.value.map((one) => (
        <CallCard key={one.id} call={one} />
      ))}
    </section>
  );
}

function CallCard({ call }: { call: Call }) {
  const [open, setOpen] = useState<"" | "keypad" | "transfer">("");
  const others = alive.value.filter((one) => one.id !== call.id && one.state === "talking");
  const on = async (what: (phone: Line) => void) => what(await thePhone());
  if (call.state === "over")
    return (
      <article class="card call over">
        <p>
          <b>{whom(call)}</b> <span class="soft">{call.words || "The call is over."}</span>
        </p>
      </article>
    );
  if (call.state === "incoming")
    return (
      <article class="card call incoming">
        <p>
          <b>{whom(call)}</b> calls {call.name && <span class="soft">from {call.number}</span>}
        </p>
        <div class="call-buttons">
          <button type="button" class="answer" onClick={() => on((phone) => phone.answer(call.id))}>
            <Icon of="phone" /> Answer
          </button>
          <button type="button" class="hang-up" onClick={() => on((phone) => phone.hangUp(call.id))}>
            <Icon of="hangup" /> Decline
          </button>
        </div>
      </article>
    );
  return (
    <article class={`card call ${call.held ? "held" : ""}`}>
      <p>
        <b>{whom(call)}</b> {call.name && <span class="soft">{call.number}</span>}
        <span class="soft lasting">
          <Lasting call={call} />
        </span>
      </p>
      {call.words && <p class="soft">{call.words}</p>}
      <div class="call-buttons">
        {call.state === "talking" && (
          <>
            <Toggle
              icon="microphone"
              word="Mute"
              on={call.muted}
              onClick={() => on((phone) => phone.mute(call.id, !call.muted))}
            />
            <Toggle
              icon="pause"
              word="Hold"
              on={call.held}
              onClick={() => on((phone) => phone.hold(call.id, !call.held))}
            />
            <Toggle
              icon="keypad"
              word="Keys"
              on={open === "keypad"}
              onClick={() => setOpen(open === "keypad" ? "" : "keypad")}
            />
            <Toggle
              icon="transfer"
              word="Transfer"
              on={open === "transfer"}
              onClick={() => setOpen(open === "transfer" ? "" : "transfer")}
            />
          </>
        )}
        <button type="button" class="hang-up" onClick={() => on((phone) => phone.hangUp(call.id))}>
          <Icon of="hangup" /> {call.state === "talking" ? "Hang up" : "Cancel"}
        </button>
      </div>
      {open === "keypad" && (
        <div class="pad small-pad">
          {KEYS.map(([key]) => (
            <button
              key={key}
              type="button"
              class="quiet"
              aria-label={`Send ${key}`}
              onClick={() => on((phone) => phone.digit(call.id, key))}
            >
              <b>{key}</b>
            </button>
          ))}
        </div>
      )}
      {open === "transfer" && (
        <TransferForm
          others={others}
          onTransfer={(to, other) => {
            setOpen("");
            on((phone) => phone.transfer(call.id, to, other));
          }}
        />
      )}
    </article>
  );
}

function TransferForm({
  others,
  onTransfer,
}: {
  others: Call[];
  onTransfer: (to: string, other?: string) => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState("");
  useEffect(() => input.current?.focus(), []);
  return (
    <form
      class="inline"
      onSubmit={(event) => {
        event.preventDefault();
        if (dialString(typed)) onTransfer(typed);
      }}
    >
      <DialField input={input} typed={typed} onType={setTyped} onPick={({ number }) => onTransfer(number)} />
      <button type="submit" disabled={!dialString(typed)}>
        Transfer
      </button>
      {others.map((one) => (
        <button key={one.id} type="button" class="quiet" onClick={() => onTransfer(one.number, one.id)}>
          To {whom(one)}
        </button>
      ))}
    </form>
  );
}

function Toggle({
  icon,
  word,
  on,
  onClick,
}: {
  icon: IconName;
  word: string;
  on: boolean;
  onClick: () => void;
}) {
  return (
    <button type="button" class={`toggle ${on ? "on" : ""}`} aria-pressed={on} onClick={onClick}>
      <Icon of={icon} /> <span>{word}</span>
    </button>
  );
}
