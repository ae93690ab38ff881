// The first run: people, a way outside, a number, a call. Every step can be left out and come back to.

import { useState } from "preact/hooks";
import { TroubleBox } from "../../parts/TroubleBox";
import { Reference } from "../fields/References";
import { Icon } from "../Icon";
import { count } from "../labels";
import { useLoaded } from "../loading";
import { alive, dialString, line, trouble } from "../phone/calls";
import { thePhone } from "../phone/opening";
import { go, parts, path } from "../route";
import { get, list, patch, words } from "../server";
import { look, you } from "../session";
import { say } from "../toasts";
import { ImportPeople } from "./Import";
import { CallCards } from "./Phone";
import { NewTrunkForm, Numbers, state, type Trunk } from "./Trunks";

const STEPS = [
  { name: "people", title: "People" },
  { name: "trunk", title: "A way outside" },
  { name: "number", title: "A number" },
  { name: "call", title: "A test call" },
] as const;
type Step = (typeof STEPS)[number]["name"];

export function SetupPage() {
  const step = (parts(path.value)[1] as Step | undefined) ?? "people";
  const at = Math.max(
    0,
    STEPS.findIndex(({ name }) => name === step),
  );
  const counts = useLoaded(
    async (signal) => {
      const [people, trunks] = await Promise.all([
        list("/people", "", null, signal, 1),
        get<Trunk[]>("/trunks", signal),
      ]);
      return { people: people.total, trunks };
    },
    [step],
  );
  const next = STEPS[at + 1];
  const trunks = counts.data?.trunks ?? [];
  const done: Record<Step, boolean> = {
    people: (counts.data?.people ?? 0) > 0,
    trunk: trunks.length > 0,
    number: trunks.some((one) => Object.keys((one.dids ?? {}) as object).length > 0),
    call: false,
  };
  return (
    <section class="page setup">
      <h1>Set up</h1>
      <ol class="steps" aria-label="Steps">
        {STEPS.map(({ name, title }, index) => (
          <li key={name}>
            <a href={`/console/setup/${name}`} aria-current={name === STEPS[at]?.name ? "step" : undefined}>
              <span class={`mark ${done[name] ? "done" : ""}`}>
                {done[name] ? <Icon of="check" /> : index + 1}
                {done[name] && <span class="unseen">done</span>}
              </span>{" "}
              {title}
            </a>
          </li>
        ))}
      </ol>
      {step === "people" && (
        <>
          <h2>Who works here?</h2>
          {done.people && <p>{count(counts.data?.people ?? 0, "person is", "people are")} here already.</p>}
          <ImportPeople onDone={counts.again} />
          <p>
            Only a few? <a href="/console/people/new">Add them one by one.</a>
          </p>
        </>
      )}
      {step === "trunk" && (
        <>
          <h2>How do calls get outside?</h2>
          <p class="soft">
            A trunk leads to your carrier, or to another telephone system. Without one, calls stay here.
          </p>
          <ul class="links">
            {trunks.map((one) => (
              <li key={one.name}>
                <a href={`/console/trunks/${one.name}`}>{one.name}</a> {state(one)}{" "}
                <span class="soft">{one.reason}</span>
              </li>
            ))}
          </ul>
          <NewTrunkForm
            onCancel={() => go("/console/setup/number")}
            onMade={() => {
              counts.again();
              go("/console/setup/number");
            }}
          />
        </>
      )}
      {step === "number" && (
        <>
          <h2>Which numbers do you have?</h2>
          <p class="soft">
            What is called from outside, and where it leads here: an extension, a group, a queue, a menu,
            hours. Those with a number of their own are named by it.
          </p>
          {!trunks.length && (
            <p>
              Numbers come with a trunk. <a href="/console/setup/trunk">Add one first.</a>
            </p>
          )}
          {trunks.map((one) => (
            <section key={one.name} class="card">
              <h3>By {one.name}</h3>
              <Numbers trunk={one} writable onDone={counts.again} />
            </section>
          ))}
        </>
      )}
      {step === "call" && <TestCall />}
      {next && (
        <div class="form-actions">
          <a class="button" href={`/console/setup/${next.name}`}>
            {done[STEPS[at]?.name ?? "people"] ? "Next" : "Skip"}: {next.title}
          </a>
        </div>
      )}
    </section>
  );
}

function TestCall() {
  const [person, setPerson] = useState("");
  const [number, setNumber] = useState("");
  const call = async (target: string, name: string) => {
    const phone = await thePhone();
    await phone.open();
    await phone.ready();
    await phone.call(target, name);
  };
  if (!you.value?.extensions.length)
    return (
      <>
        <h2>Who are you?</h2>
        <p class="soft">To call from here you need an extension: say which of the people you are.</p>
        <form
          class="form"
          onSubmit={async (event) => {
            event.preventDefault();
            try {
              const logins = await get<{ id: string; name: string }[]>("/logins");
              const mine = logins.find(({ name }) => name === you.value?.name);
              await patch(`/logins/${mine?.id}`, { person_id: person });
              await look();
              if (!you.value?.extensions.length) say("This person has no extension yet.", { wrong: true });
            } catch (error) {
              say(words(error), { wrong: true });
            }
          }}
        >
          <div class="field">
            <label for="who">I am</label>
            <Reference id="who" label="I am" kinds={["person"]} value={person} onChange={setPerson} />
          </div>
          <button type="submit" disabled={!person}>
            This is me
          </button>
        </form>
      </>
    );
  return (
    <>
      <h2>Do you hear yourself?</h2>
      <p class="soft">The echo test calls from this browser as extension {you.value.extensions[0]}.</p>
      {trouble.value && <TroubleBox trouble={trouble.value} />}
      <CallCards />
      {!alive.value.length && (
        <>
          <div class="buttons">
            <button type="button" onClick={() => call(you.value?.echo_number ?? "", "Echo test")}>
              <Icon of="phone" /> Call the echo test
            </button>
          </div>
          <form
            class="inline"
            onSubmit={(event) => {
              event.preventDefault();
              if (dialString(number)) call(number, "");
            }}
          >
            <input
              type="tel"
              aria-label="Another number"
              placeholder="Another number: a colleague, your mobile"
              value={number}
              onInput={(event) => setNumber(event.currentTarget.value)}
            />
            <button type="submit" class="quiet" disabled={!dialString(number)}>
              Call it
            </button>
          </form>
        </>
      )}
      <p class="soft" role="status">
        {line.value === "opening" ? "Opening the phone…" : ""}
      </p>
      <p>
        That is all. <a href="/console/status">See how it does</a>, or <a href="/phone">use the phone</a>.
      </p>
    </>
  );
}
