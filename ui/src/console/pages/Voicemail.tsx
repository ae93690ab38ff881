// One's own messages; of other mailboxes how many there are, and nothing that was said.

import { useState } from "preact/hooks";
import { ExtensionLink } from "../ExtensionLink";
import { count, humane, lasting, when } from "../labels";
import { useLoaded } from "../loading";
import { Player } from "../Player";
import { byField, get, patch, post, put, remove, words } from "../server";
import { may, you } from "../session";
import { say } from "../toasts";

interface Mailbox {
  /** Of its extension. */
  id: string;
  extension: string;
  has_pin: boolean;
  new: number;
  old: number;
  most_messages: number;
  greetings: string[];
  told_by_mail: "no" | "notice" | "audio";
}

interface Message {
  id: string;
  state: "new" | "old" | "saved" | "deleted";
  urgent: boolean;
  caller: string;
  received_at: string;
  seconds: number;
}

export function VoicemailPage() {
  const { data, trouble, again } = useLoaded((signal) => get<Mailbox[]>("/voicemail", signal), []);
  const mine = new Set(you.value?.extensions);
  const own = data?.filter(({ extension }) => mine.has(extension)) ?? [];
  const others = data?.filter(({ extension }) => !mine.has(extension)) ?? [];
  return (
    <section class="page">
      <h1>Voicemail</h1>
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {data && !own.length && <p class="soft">You have no mailbox.</p>}
      {own.map((box) => (
        <Box key={box.extension} box={box} onChange={again} />
      ))}
      {others.length > 0 && (
        <section class="part">
          <h2>Other mailboxes</h2>
          <p class="soft">Only who holds the extension hears what was said.</p>
          <table class="rows">
            <thead>
              <tr>
                <th scope="col">Extension</th>
                <th scope="col">New</th>
                <th scope="col">Old</th>
                <th scope="col">PIN</th>
              </tr>
            </thead>
            <tbody>
              {others.map((box) => (
                <tr key={box.extension}>
                  <td>
                    <ExtensionLink number={box.extension} to="/console/plan/mailbox" />
                  </td>
                  <td>{box.new}</td>
                  <td>{box.old}</td>
                  <td>
                    {box.has_pin ? "chosen" : "not chosen"}{" "}
                    {box.has_pin && may("voicemail:write") && (
                      <button
                        type="button"
                        class="quiet small"
                        aria-label={`Forget it: the PIN of ${box.extension}`}
                        onClick={async () => {
                          try {
                            await remove(`/voicemail/${box.id}/pin`);
                            say(`${box.extension} chooses another PIN at its phone`);
                            again();
                          } catch (error) {
                            say(words(error), { wrong: true });
                          }
                        }}
                      >
                        Forget it
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}

function Box({ box, onChange }: { box: Mailbox; onChange: () => void }) {
  const base = `/voicemail/${box.id}`;
  const { data, trouble, again } = useLoaded(
    (signal) => get<Message[]>(`${base}/messages`, signal),
    [base],
    15_000,
  );
  const changed = () => {
    again();
    onChange();
  };
  const act = async (what: () => Promise<unknown>) => {
    try {
      await what();
      changed();
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  const messages = data?.filter(({ state }) => state !== "deleted") ?? [];
  return (
    <section class="part" aria-label={`Messages of ${box.extension}`}>
      <h2>
        {box.extension} <span class="soft">{count(box.new, "new message", "new messages")}</span>
      </h2>
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {data && !messages.length && <p class="soft">No messages.</p>}
      <ul class="messages">
        {messages.map((one) => (
          <li key={one.id} class={one.state}>
            <div class="grow">
              <b>{one.caller || "Number not known"}</b>{" "}
              {one.state === "new" && <span class="tag good">new</span>}{" "}
              {one.urgent && <span class="tag poor">urgent</span>}{" "}
              {one.state === "saved" && <span class="tag">saved</span>}
              <div class="soft">
                {when(one.received_at)} · {lasting(one.seconds)}
              </div>
            </div>
            <Player
              path={`${base}/messages/${one.id}/audio`}
              label={`Play the message of ${one.caller || "somebody"}, ${when(one.received_at)}`}
              onPlayed={() =>
                one.state === "new" && act(() => patch(`${base}/messages/${one.id}`, { state: "old" }))
              }
            />
            <span class="buttons">
              <button
                type="button"
                class="quiet small"
                onClick={() =>
                  act(() =>
                    patch(`${base}/messages/${one.id}`, { state: one.state === "saved" ? "old" : "saved" }),
                  )
                }
              >
                {one.state === "saved" ? "Let go" : "Save"}
              </button>
              <button
                type="button"
                class="quiet small"
                onClick={() =>
                  act(async () => {
                    await remove(`${base}/messages/${one.id}`);
                    say("The message is deleted", {
                      undo: () => act(() => post(`${base}/messages/${one.id}/restore`)),
                    });
                  })
                }
              >
                Delete
              </button>
            </span>
          </li>
        ))}
      </ul>
      <Pin box={box} base={base} onChange={onChange} />
    </section>
  );
}

function Pin({ box, base, onChange }: { box: Mailbox; base: string; onChange: () => void }) {
  const [error, setError] = useState("");
  return (
    <details class="pin">
      <summary>
        PIN for the phone <span class="soft">{box.has_pin ? "chosen" : "not chosen yet"}</span>
        {box.greetings.length > 0 && (
          <span class="soft"> · greetings: {box.greetings.map(humane).join(", ")}</span>
        )}
      </summary>
      <form
        class="inline"
        onSubmit={async (event) => {
          event.preventDefault();
          const form = event.currentTarget;
          try {
            await put(`${base}/pin`, { pin: String(new FormData(form).get("pin")) });
            form.reset();
            setError("");
            say("The PIN is changed");
            onChange();
          } catch (wrong) {
            const found = byField(wrong, ["pin"]);
            setError(found.pin ?? found[""] ?? "");
          }
        }}
      >
        <input
          name="pin"
          type="password"
          inputMode="numeric"
          autocomplete="off"
          aria-label="New PIN"
          aria-describedby="pin-error"
          placeholder="New PIN"
          required
        />
        <button type="submit" class="quiet">
          Change it
        </button>
        <p id="pin-error" role="alert" class="wrong">
          {error}
        </p>
      </form>
    </details>
  );
}
