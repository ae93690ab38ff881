// The code of an authenticator app beside one's own password: on, off, and recovery codes.

import { useState } from "preact/hooks";
import { count } from "../labels";
import { useLoaded } from "../loading";
import { byField, get, post, put } from "../server";
import { look } from "../session";
import { say } from "../toasts";
import { Secret } from "./Secret";

interface State {
  on: boolean;
  recovery_codes: number;
}

interface Fresh {
  secret: string;
  uri: string;
}

type Errors = Record<string, string>;

export function SecondFactor() {
  const { data, again } = useLoaded((signal) => get<State>("/session/second-factor", signal), []);
  const [fresh, setFresh] = useState<Fresh | null>(null);
  const [codes, setCodes] = useState<string[]>([]);
  const [act, setAct] = useState("");
  const done = async () => {
    setFresh(null);
    setAct("");
    again();
    await look();
  };
  if (!data) return null;
  return (
    <section class="part" aria-labelledby="second-factor">
      <h2 id="second-factor">Second factor</h2>
      <p class="soft">
        {data.on
          ? `Logging in needs the code of your authenticator app. ${count(data.recovery_codes, "recovery code is", "recovery codes are")} left.`
          : "An authenticator app shows a code that is asked for beside your password."}
      </p>
      {codes.length > 0 && <Codes codes={codes} onDone={() => setCodes([])} />}
      {!data.on && !fresh && codes.length === 0 && (
        <Asked
          fields={["password"]}
          button="Set it up"
          onSend={async ({ password }) => setFresh(await post<Fresh>("/session/second-factor", { password }))}
        />
      )}
      {!data.on && fresh && (
        <>
          <div class="handout" role="status">
            <p>
              <b>Shown this once.</b> Give the app this key, or open the link on the phone it is on.
            </p>
            <dl>
              <dt>Key</dt>
              <dd>
                <code>{fresh.secret.match(/.{1,4}/g)?.join(" ")}</code>
              </dd>
              <dt>Link</dt>
              <dd>
                <a href={fresh.uri}>
                  <code>{fresh.uri}</code>
                </a>
              </dd>
            </dl>
          </div>
          <Asked
            fields={["code"]}
            button="Turn it on"
            onCancel={() => setFresh(null)}
            onSend={async ({ code }) => {
              setCodes((await put<{ codes: string[] }>("/session/second-factor", { code })).codes);
              say("Logging in needs the code from now on");
              await done();
            }}
          />
        </>
      )}
      {data.on && !act && (
        <div class="buttons">
          <button type="button" class="quiet" onClick={() => setAct("codes")}>
            New recovery codes
          </button>
          <button type="button" class="quiet wrong" onClick={() => setAct("off")}>
            Turn it off
          </button>
        </div>
      )}
      {data.on && act && (
        <Asked
          fields={["password", "code"]}
          button={act === "off" ? "Turn it off" : "Make new recovery codes"}
          onCancel={() => setAct("")}
          onSend={async (given) => {
            if (act === "off") {
              await post("/session/second-factor/off", given);
              setCodes([]);
              say("Logging in needs the password alone");
            } else {
              const path = "/session/second-factor/recovery-codes";
              setCodes((await post<{ codes: string[] }>(path, given)).codes);
            }
            await done();
          }}
        />
      )}
    </section>
  );
}

function Codes({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  return (
    <div class="handout" role="status">
      <p>
        <b>Shown this once.</b> Each of these recovery codes lets you in once without the app. Keep them where
        you keep nothing else.
      </p>
      <ul class="codes">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <button type="button" class="quiet" onClick={onDone}>
        I have kept them
      </button>
    </div>
  );
}

interface AskedProps {
  fields: readonly ("password" | "code")[];
  button: string;
  onSend: (given: Record<string, string>) => Promise<void>;
  onCancel?: () => void;
}

function Asked({ fields, button, onSend, onCancel }: AskedProps) {
  const [errors, setErrors] = useState<Errors>({});
  return (
    <form
      class="form"
      onSubmit={async (event) => {
        event.preventDefault();
        const data = new FormData(event.currentTarget);
        try {
          await onSend(Object.fromEntries(fields.map((name) => [name, String(data.get(`factor-${name}`))])));
        } catch (error) {
          setErrors(byField(error, fields));
        }
      }}
    >
      {fields.includes("password") && (
        <Secret
          name="factor-password"
          title="Your password"
          error={errors.password}
          autocomplete="current-password"
        />
      )}
      {fields.includes("code") && (
        <Secret
          name="factor-code"
          title="Code of the app"
          error={errors.code}
          autocomplete="one-time-code"
          plain
        />
      )}
      {errors[""] && (
        <p role="alert" class="wrong">
          {errors[""]}
        </p>
      )}
      <div class="form-actions">
        <button type="submit">{button}</button>
        {onCancel && (
          <button type="button" class="quiet" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}
