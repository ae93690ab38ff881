// People: who they are, which extensions they hold, and how they log in.

import { useState } from "preact/hooks";
import { ProblemError } from "../../api";
import { Form } from "../Form";
import { Handout } from "../Handout";
import { humane, when } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { OneRecord, Records, type Sort } from "../Records";
import { go } from "../route";
import { type Field, field, type Value } from "../schema";
import { get, list, patch, post, remove, words } from "../server";
import { may } from "../session";
import { say } from "../toasts";

interface Person {
  id: string;
  name: string;
  e_mail: string;
  role: string;
  site: string;
  extensions: string[];
  created_at: string;
}

interface Extension {
  id: string;
  number: string;
  display_name: string;
  enabled: boolean;
}

interface Login {
  id: string;
  name: string;
  role: string;
  person_id: string | null;
  has_password: boolean;
  sessions: number;
}

const PERSON: readonly Field[] = [
  field("name", "text", "Name", { maxLength: 80 }, { required: true }),
  field("e_mail", "text", "E-mail", {
    maxLength: 80,
    description: "For voicemail notices, and a good name to log in with.",
  }),
  field(
    "role",
    "reference",
    "Role",
    { description: "Says what may be called; “standard” if empty." },
    { of: ["role"] },
  ),
  field("site", "text", "Site", { maxLength: 80, description: "Where they work: a building, a town." }),
];
const NUMBER = field("number", "text", "Extension", {
  pattern: "^([1-9][0-9]{1,5})?$",
  maxLength: 6,
  description: "The number of their phone, 2 to 6 digits. Empty: none yet.",
});
const LOGIN = field("login", "switch", "May log in", {
  description: "To see own calls and voicemail, and to phone in the browser.",
});

const SORT: Sort<Person> = {
  kind: "person",
  title: "People",
  nouns: ["person", "people"],
  path: "/people",
  writes: "people:write",
  keyOf: (one) => one.id,
  nameOf: (one) => one.name,
  columns: [
    { title: "Name", show: (one) => one.name },
    { title: "Extension", show: (one) => one.extensions.join(", ") },
    { title: "E-mail", show: (one) => one.e_mail, minor: true },
    { title: "Role", show: (one) => humane(one.role), minor: true },
  ],
  fields: PERSON,
  newWord: "Add a person",
  empty: (
    <p>
      Nobody yet. <a href="/console/people/new">Add somebody</a>, or{" "}
      <a href="/console/import">bring everybody by a file</a>.
    </p>
  ),
};

export function PeoplePage({ id }: { id: string | undefined }) {
  return (
    <Records
      sort={SORT}
      chosen={id}
      more={
        may("people:write") && (
          <a class="button quiet" href="/console/import">
            Import
          </a>
        )
      }
      fresh={(onDone) => <NewPerson onDone={onDone} />}
      one={(key, onDone) => (
        <OneRecord
          key={key}
          sort={SORT}
          id={key}
          onDone={onDone}
          subtitle={(person) => `Added ${when(person.created_at)}`}
          warning={(person) =>
            person.extensions.length
              ? `Delete ${person.name}? Extensions stay and belong to nobody. Undo brings all back, but for the PIN and greetings of voicemail.`
              : ""
          }
          below={(person, again) => (
            <>
              <Held person={person} onDone={again} />
              {may("logins:write") && <LoginOf person={person} />}
            </>
          )}
        />
      )}
    />
  );
}

interface Made {
  person: Person;
  password?: { number: string; password: string };
  link?: string;
}

function NewPerson({ onDone }: { onDone: () => void }) {
  // What a try that failed half way has made already is not made again.
  const [half, setHalf] = useState<Made | null>(null);
  const [made, setMade] = useState<Made | null>(null);
  if (made)
    return (
      <Panel title={`${made.person.name} is added`} back="/console/people">
        <Handout
          name={made.person.name}
          {...(made.password ? { account: made.password } : {})}
          {...(made.link ? { link: made.link } : {})}
        />
        <div class="form-actions">
          <a class="button" href={`/console/people/${made.person.id}`}>
            Done
          </a>
          <button type="button" class="quiet" onClick={() => setMade(null)}>
            Add another
          </button>
        </div>
      </Panel>
    );
  return (
    <Panel title="New person" back="/console/people">
      <Form
        fields={[PERSON[0], PERSON[1], NUMBER, PERSON[2], LOGIN].filter((one) => one !== undefined)}
        value={{ name: "", e_mail: "", number: "", role: "", login: false }}
        saveWord="Add"
        onCancel={() => go("/console/people")}
        onSave={async (value) => {
          const now: Made = half ?? { person: await post<Person>("/people", given(value)) };
          setHalf(now);
          if (value.number && !now.password) {
            const account = { number: value.number, display_name: value.name, person_id: now.person.id };
            now.password = await post<{ number: string; password: string }>("/extensions", account).catch(
              (error) => {
                throw atField(error, "number");
              },
            );
          }
          if (value.login && !now.link) {
            const login = { name: value.e_mail || value.name, person_id: now.person.id };
            now.link = (await post<{ link: string }>("/logins", login)).link;
          }
          setHalf(null);
          onDone();
          if (now.password || now.link) setMade(now);
          else {
            say(`${now.person.name} is added`);
            go(`/console/people/${now.person.id}`);
          }
        }}
      />
    </Panel>
  );
}

/** What is said of a number belongs to its field. */
function atField(error: unknown, field: string): unknown {
  if (!(error instanceof ProblemError) || error.status === 401) return error;
  return new ProblemError(422, error.detail, [{ field, message: error.detail }]);
}

/** What was filled in, of what the server knows. */
function given(value: Value): Value {
  const known = ["name", "e_mail", "role", "site"];
  return Object.fromEntries(known.filter((key) => value[key]).map((key) => [key, value[key]]));
}

function Held({ person, onDone }: { person: Person; onDone: () => void }) {
  const [account, setAccount] = useState<{ number: string; password: string } | null>(null);
  const { data, again } = useLoaded(
    (signal) =>
      Promise.all(
        person.extensions.map(async (number) => {
          const { items } = await list<Extension>("/extensions", number, null, signal);
          return items.filter((one) => one.number === number);
        }),
      ).then((found) => found.flat()),
    [person.id, person.extensions],
  );
  return (
    <section class="part">
      <h3>Extensions</h3>
      {data?.length === 0 && <p class="soft">None yet.</p>}
      <ul class="links">
        {data?.map((one) => (
          <li key={one.number}>
            <a href={`/console/extensions/${one.id}`}>{one.number}</a>{" "}
            <span class="soft">{one.enabled ? one.display_name : "switched off"}</span>
          </li>
        ))}
      </ul>
      {account && <Handout name={person.name} account={account} />}
      {may("extensions:write") && (
        <form
          class="inline"
          onSubmit={async (event) => {
            event.preventDefault();
            const form = event.currentTarget;
            const number = String(new FormData(form).get("number"));
            const body = { number, display_name: person.name, person_id: person.id };
            try {
              setAccount(await post("/extensions", body));
              form.reset();
              again();
              onDone();
            } catch (error) {
              say(words(error), { wrong: true });
            }
          }}
        >
          <input
            name="number"
            aria-label="Number of a new extension"
            placeholder="1001"
            inputMode="numeric"
            required
          />
          <button type="submit" class="quiet">
            Give a new extension
          </button>
        </form>
      )}
    </section>
  );
}

function LoginOf({ person }: { person: Person }) {
  const [link, setLink] = useState("");
  const { data, again } = useLoaded((signal) => get<Login[]>("/logins", signal), [person.id]);
  const login = data?.find((one) => one.person_id === person.id);
  const act = async (what: () => Promise<unknown>, said: string) => {
    try {
      await what();
      if (said) say(said);
      again();
    } catch (error) {
      say(words(error), { wrong: true });
    }
  };
  if (!data) return null;
  return (
    <section class="part">
      <h3>Login</h3>
      {login ? (
        <p class="soft">
          <b>{login.name}</b> logs in as {login.role}
          {login.has_password ? "" : "; the password is not chosen yet"}
          {login.sessions ? `; ${login.sessions} open` : ""}.
        </p>
      ) : (
        <p class="soft">{person.name} cannot log in.</p>
      )}
      {link && <Handout name={person.name} link={link} />}
      <div class="buttons">
        {login ? (
          <>
            <select
              aria-label="Role in the console"
              value={login.role}
              onChange={(event) => {
                const role = event.currentTarget.value;
                act(() => patch(`/logins/${login.id}`, { role }), `${person.name} is ${role} now`);
              }}
            >
              {["user", "helpdesk", "auditor", "admin"].map((role) => (
                <option key={role} value={role}>
                  {humane(role)}
                </option>
              ))}
            </select>
            <button
              type="button"
              class="quiet"
              onClick={() =>
                act(async () => setLink((await post<{ link: string }>(`/logins/${login.id}/link`)).link), "")
              }
            >
              New link
            </button>
            {login.sessions > 0 && (
              <button
                type="button"
                class="quiet"
                onClick={() => act(() => remove(`/logins/${login.id}/sessions`), "Logged out everywhere")}
              >
                Log out everywhere
              </button>
            )}
            <button
              type="button"
              class="quiet wrong"
              onClick={() =>
                act(() => remove(`/logins/${login.id}`), `${person.name} cannot log in any more`)
              }
            >
              Take away
            </button>
          </>
        ) : (
          <button
            type="button"
            class="quiet"
            onClick={() =>
              act(async () => {
                const body = { name: person.e_mail || person.name, person_id: person.id };
                setLink((await post<{ link: string }>("/logins", body)).link);
              }, "")
            }
          >
            Let {person.name.split(" ")[0]} log in
          </button>
        )}
      </div>
    </section>
  );
}
