// Name and password, and the code of an app where a login needs one.

import { useEffect, useRef, useState } from "preact/hooks";
import { ProblemError } from "../../api";
import { words } from "../server";
import { logIn } from "../session";

export function LoginPage() {
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const [codeNeeded, setCodeNeeded] = useState(false);
  return (
    <main class="login">
      <h1>Ringback</h1>
      <p class="soft">Log in to your calls, your voicemail and, if you run it, the system.</p>
      <form
        class="card"
        onSubmit={async (event) => {
          event.preventDefault();
          const data = new FormData(event.currentTarget);
          setBusy(true);
          setTrouble("");
          try {
            const word = (name: string) => String(data.get(name) ?? "");
            await logIn(word("username"), word("password"), word("code"));
          } catch (error) {
            const wrong = error instanceof ProblemError && error.status === 401;
            const code = wrong && error.errors.some(({ field }) => field === "code");
            setCodeNeeded(code);
            // The first time the field itself says what is needed.
            if (!code || codeNeeded)
              setTrouble(wrong && !code ? "Name or password is not right." : words(error));
            setBusy(false);
          }
        }}
      >
        <label>
          <span>Name or e-mail</span>
          <input
            name="username"
            type="text"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            required
          />
        </label>
        <label>
          <span>Password</span>
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        {codeNeeded && <CodeField />}
        <button type="submit" disabled={busy}>
          {busy ? "Logging in…" : "Log in"}
        </button>
        <p role="alert">{trouble}</p>
      </form>
      <p class="soft">
        No password yet, or forgotten? Ask whoever runs this system for a link. Administrators make one with{" "}
        <code>ringback admin link</code>.
      </p>
    </main>
  );
}

function CodeField() {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <label>
      <span>Code of your authenticator app</span>
      <input
        ref={field}
        name="code"
        type="text"
        autocomplete="one-time-code"
        autocapitalize="none"
        spellcheck={false}
        maxLength={40}
        aria-describedby="code-hint"
        required
      />
      <span id="code-hint" class="soft">
        Six digits; or one of your recovery codes.
      </span>
    </label>
  );
}
