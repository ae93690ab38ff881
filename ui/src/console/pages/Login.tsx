// Name and password.

import { useState } from "preact/hooks";
import { ProblemError } from "../../api";
import { words } from "../server";
import { logIn } from "../session";

export function LoginPage() {
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
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
            await logIn(String(data.get("username")), String(data.get("password")));
          } catch (error) {
            const wrong = error instanceof ProblemError && error.status === 401;
            setTrouble(wrong ? "Name or password is not right." : words(error));
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
