// One's own login: password, and where one is logged in.

import { useState } from "preact/hooks";
import { when } from "../labels";
import { useLoaded } from "../loading";
import { byField, get, put, remove, words } from "../server";
import { logOut, look, you } from "../session";
import { say } from "../toasts";
import { SecondFactor } from "./SecondFactor";
import { Secret } from "./Secret";

interface Session {
  id: string;
  browser: string;
  created_at: string;
  seen_at: string;
  this: boolean;
}

export function AccountPage() {
  const sessions = useLoaded((signal) => get<Session[]>("/session/all", signal), []);
  const [errors, setErrors] = useState<Record<string, string>>({});
  return (
    <section class="page narrow">
      <h1>{you.value?.name}</h1>
      <p class="soft">
        You are logged in as {you.value?.role}
        {you.value?.extensions.length ? `, with extension ${you.value.extensions.join(" and ")}` : ""}.
      </p>
      <section class="part">
        <h2>Password</h2>
        <form
          class="form"
          onSubmit={async (event) => {
            event.preventDefault();
            const data = new FormData(event.currentTarget);
            try {
              await put("/session/password", { old: data.get("old"), new: data.get("new") });
              say("The password is changed. Log in with it.");
              await look();
            } catch (error) {
              setErrors(byField(error, ["old", "new"]));
            }
          }}
        >
          <input type="text" autocomplete="username" value={you.value?.name} hidden readOnly />
          <Secret name="old" title="Old password" error={errors.old} autocomplete="current-password" />
          <Secret name="new" title="New password" error={errors.new} autocomplete="new-password" />
          {errors[""] && (
            <p role="alert" class="wrong">
              {errors[""]}
            </p>
          )}
          <div class="form-actions">
            <button type="submit">Change it</button>
            <span class="hint">At least 12 characters. You will be logged out everywhere.</span>
          </div>
        </form>
      </section>
      <SecondFactor />
      <section class="part">
        <h2>Where you are logged in</h2>
        <ul class="links">
          {sessions.data?.map((one) => (
            <li key={one.id}>
              <b>{one.browser}</b> <span class="soft">last seen {when(one.seen_at)}</span>{" "}
              {one.this ? (
                <span class="tag">here</span>
              ) : (
                <button
                  type="button"
                  class="quiet small"
                  onClick={async () => {
                    try {
                      await remove(`/session/all/${one.id}`);
                      sessions.again();
                    } catch (error) {
                      say(words(error), { wrong: true });
                    }
                  }}
                >
                  Log out
                </button>
              )}
            </li>
          ))}
        </ul>
        <button type="button" class="quiet" onClick={() => logOut()}>
          Log out here
        </button>
      </section>
    </section>
  );
}
