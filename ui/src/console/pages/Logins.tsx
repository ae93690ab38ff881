// Who may log in, and as what.

import { useState } from "preact/hooks";
import { Handout } from "../Handout";
import { List } from "../List";
import { humane, when } from "../labels";
import { patch, post, remove, words } from "../server";
import { may, you } from "../session";
import { say } from "../toasts";

interface Login {
  id: string;
  name: string;
  role: string;
  person_id: string | null;
  has_password: boolean;
  second_factor: boolean;
  created_at: string;
  sessions: number;
}

export function LoginsPage() {
  const [turn, setTurn] = useState(0);
  const [made, setMade] = useState<{ name: string; link: string } | null>(null);
  const act = async (what: () => Promise<unknown>, said = "") => {
    try {
      await what();
      if (said) say(said);
      setTurn((before) => before + 1);
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  const writes = may("logins:write");
  return (
    <div class="with-panel">
      <List<Login>
        title="Logins"
        nouns={["login", "logins"]}
        path="/logins"
        turn={turn}
        keyOf={(one) => one.id}
        intro="Who may come to these pages. People get theirs with the person."
        columns={[
          { title: "Name", show: (one) => <b>{one.name}</b> },
          {
            title: "Role",
            show: (one) =>
              writes && one.name !== you.value?.name ? (
                <select
                  class="small"
                  aria-label={`Role of ${one.name}`}
                  value={one.role}
                  onChange={(event) => {
                    const role = event.currentTarget.value;
                    act(() => patch(`/logins/${one.id}`, { role }), `${one.name} is ${role} now`);
                  }}
                >
                  {["user", "helpdesk", "auditor", "admin"].map((role) => (
                    <option key={role} value={role}>
                      {humane(role)}
                    </option>
                  ))}
                </select>
              ) : (
                humane(one.role)
              ),
          },
          {
            title: "State",
            minor: true,
            show: (one) =>
              one.has_password
                ? [one.second_factor && "with code", one.sessions && `${one.sessions} open`]
                    .filter(Boolean)
                    .join(", ")
                : "password not chosen yet",
          },
          { title: "Since", minor: true, show: (one) => when(one.created_at) },
          {
            title: " ",
            show: (one) =>
              writes && (
                <span class="buttons">
                  <button
                    type="button"
                    class="quiet small"
                    aria-label={`New link for ${one.name}`}
                    onClick={() =>
                      act(async () => {
                        const { link } = await post<{ link: string }>(`/logins/${one.id}/link`);
                        setMade({ name: one.name, link });
                      })
                    }
                  >
                    New link
                  </button>
                  {one.second_factor && one.name !== you.value?.name && (
                    <button
                      type="button"
                      class="quiet small"
                      aria-label={`Reset code of ${one.name}`}
                      onClick={() =>
                        confirm(
                          `${one.name} will log in by the password alone, and is logged out everywhere. For who has lost the app and the recovery codes.`,
                        ) &&
                        act(
                          () => remove(`/logins/${one.id}/second-factor`),
                          `${one.name} logs in by the password alone`,
                        )
                      }
                    >
                      Reset code
                    </button>
                  )}
                  {one.name !== you.value?.name && (
                    <button
                      type="button"
                      class="quiet small"
                      aria-label={`Take away the login of ${one.name}`}
                      onClick={() =>
                        confirm(
                          `${one.name} will not be able to log in any more, and is logged out at once.`,
                        ) && act(() => remove(`/logins/${one.id}`), `${one.name} cannot log in any more`)
                      }
                    >
                      Take away
                    </button>
                  )}
                </span>
              ),
          },
        ]}
        more={
          writes && (
            <form
              class="inline"
              onSubmit={async (event) => {
                event.preventDefault();
                const form = event.currentTarget;
                const data = new FormData(form);
                await act(async () => {
                  const body = { name: String(data.get("name")), role: String(data.get("role")) };
                  const { link } = await post<{ link: string }>("/logins", body);
                  setMade({ name: body.name, link });
                  form.reset();
                });
              }}
            >
              <input
                name="name"
                type="text"
                aria-label="Name of a new login"
                placeholder="Name or e-mail"
                required
              />
              <select name="role" class="small" aria-label="Role of a new login">
                {["admin", "helpdesk", "auditor"].map((role) => (
                  <option key={role} value={role}>
                    {humane(role)}
                  </option>
                ))}
              </select>
              <button type="submit">Add</button>
            </form>
          )
        }
        below={made && <Handout name={made.name} link={made.link} />}
        empty={<p>Nobody.</p>}
      />
    </div>
  );
}
