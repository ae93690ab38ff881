// Where does a call go? Asked of the code that routes calls; nothing rings.

import { useState } from "preact/hooks";
import { Reference } from "../fields/References";
import { humane } from "../labels";
import { byField, post } from "../server";
import { you } from "../session";

interface Leg {
  round: number;
  for_s: number | null;
  extension: string | null;
  trunk: string | null;
  number: string | null;
  caller_id: string | null;
}

interface Node {
  id: number;
  parent: number | null;
  came_by: string[];
  target: string | null;
  rules: { kind: string; name: string; said: string }[];
  step: {
    kind: string;
    said: string;
    legs: Leg[];
    loop: boolean;
    dead_end: boolean;
    emergency: boolean;
  } | null;
  seen: boolean;
}

interface Route {
  at: string;
  time_zone: string;
  nodes: Node[];
  loops: string[];
  dead_ends: string[];
  cut: boolean;
}

export function SimulatePage() {
  const [from, setFrom] = useState(you.value?.extensions[0] ?? "");
  const [trunk, setTrunk] = useState("");
  const [errors, setErrors] = useState<Record<string, string>>({});
  const [route, setRoute] = useState<Route | null>(null);
  return (
    <section class="page">
      <h1>Where does a call go?</h1>
      <p class="soft">Every rule that it passes, at any time. Nothing rings.</p>
      <form
        class="form simulate"
        onSubmit={async (event) => {
          event.preventDefault();
          const data = new FormData(event.currentTarget);
          const body: Record<string, unknown> = { to: String(data.get("to")), from, from_trunk: trunk };
          if (data.get("at")) body.at = data.get("at");
          try {
            setRoute(await post<Route>("/route/simulate", body));
            setErrors({});
          } catch (error) {
            setErrors(byField(error, ["to", "from", "at", "from_trunk"]));
            setRoute(null);
          }
        }}
      >
        <Row name="from" title="From" error={errors.from} hint="An extension; empty: a guest.">
          <Reference id="field-from" label="From" kinds={["extension"]} value={from} onChange={setFrom} />
        </Row>
        <Row name="to" title="To" error={errors.to}>
          <input id="field-to" name="to" type="text" autocomplete="off" placeholder="+14155550100" required />
        </Row>
        <Row name="at" title="At" error={errors.at} hint="Empty: now.">
          <input id="field-at" name="at" type="datetime-local" />
        </Row>
        <Row
          name="from_trunk"
          title="Coming in by trunk"
          error={errors.from_trunk}
          hint="For calls from outside."
        >
          <Reference
            id="field-from_trunk"
            label="Coming in by trunk"
            kinds={["trunk"]}
            value={trunk}
            onChange={setTrunk}
          />
        </Row>
        {errors[""] && (
          <p role="alert" class="wrong">
            {errors[""]}
          </p>
        )}
        <button type="submit">Follow it</button>
      </form>
      {route && <Shown route={route} />}
    </section>
  );
}

function Row({
  name,
  title,
  error,
  hint,
  children,
}: {
  name: string;
  title: string;
  error: string | undefined;
  hint?: string;
  children: preact.ComponentChildren;
}) {
  return (
    <div class="field">
      <label for={`field-${name}`}>{title}</label>
      {children}
      {hint && <p class="hint">{hint}</p>}
      {error && (
        <p role="alert" class="wrong">
          {error}
        </p>
      )}
    </div>
  );
}

function Shown({ route }: { route: Route }) {
  const problems = [
    ...route.loops.map((one) => `Loop: ${one}`),
    ...route.dead_ends.map((one) => `Dead end: ${one}`),
  ];
  return (
    <section class="part" aria-label="Where it goes" aria-live="polite">
      <p class="soft">
        On {new Date(route.at).toLocaleString([], { dateStyle: "full", timeStyle: "short" })} (
        {route.time_zone})
      </p>
      {problems.map((one) => (
        <p key={one} class="wrong">
          {one}
        </p>
      ))}
      <Tree nodes={route.nodes} parent={null} />
      {route.cut && <p class="soft">There is more: the plan branches too often to show all of it.</p>}
    </section>
  );
}

function Tree({ nodes, parent }: { nodes: Node[]; parent: number | null }) {
  const mine = nodes.filter((one) => one.parent === parent);
  if (!mine.length) return null;
  return (
    <ol class="tree">
      {mine.map((node) => (
        <li key={node.id}>
          {node.came_by.length > 0 && <span class="tag">{node.came_by.map(humane).join(", ")}</span>}
          {node.rules.map((rule) => (
            <p key={`${rule.kind}${rule.name}${rule.said}`} class="soft rule">
              {humane(rule.kind)}
              {rule.name && <b> {rule.name}</b>}: {rule.said}
            </p>
          ))}
          {node.step && (
            <p class={node.step.loop || node.step.dead_end ? "wrong step" : "step"}>
              {node.step.emergency && <span class="tag poor">emergency</span>} {sentence(node.step.said)}
            </p>
          )}
          {node.step && node.step.legs.length > 0 && (
            <ul class="legs">
              {node.step.legs.map((leg) => (
                <li key={`${leg.round}${leg.extension}${leg.trunk}${leg.number}`}>
                  {leg.extension ?? `${leg.number ?? ""} by ${leg.trunk}`}
                  {leg.for_s !== null && <span class="soft"> for {leg.for_s} s</span>}
                  {leg.caller_id && <span class="soft"> showing {leg.caller_id}</span>}
                </li>
              ))}
            </ul>
          )}
          {node.seen && <p class="soft">goes on as above{node.target ? ` (${node.target})` : ""}</p>}
          <Tree nodes={nodes} parent={node.id} />
        </li>
      ))}
    </ol>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
