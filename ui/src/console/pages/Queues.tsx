// The queues, as they are now.

import { count, lasting } from "../labels";
import { useLoaded } from "../loading";
import { get } from "../server";

interface Queue {
  name: string;
  title: string;
  waiting: { call: string; waited_s: number; ringing: boolean }[];
  agents: { extension: string; state: string; calls: number }[];
  answered: number;
  abandoned: number;
  left: number;
  longest_wait_s: number;
  average_wait_s: number | null;
}

const EVERY_MS = 2_000;
const MARKS: Record<string, string> = { free: "good", busy: "fair", ringing: "fair", "wrap-up": "fair" };

export function QueuesPage() {
  const { data, trouble } = useLoaded((signal) => get<Queue[]>("/queues", signal), [], EVERY_MS);
  return (
    <section class="page">
      <h1>Queues now</h1>
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {data?.length === 0 && (
        <p class="empty">
          There are no queues. <a href="/console/plan/queue/new">Add one</a>.
        </p>
      )}
      {data?.map((queue) => (
        <article key={queue.name} class="card queue">
          <header class="list-head">
            <h2>
              <a href={`/console/plan/queue/${queue.name}`}>{queue.title || queue.name}</a>
            </h2>
            <span class={`tag ${queue.waiting.length ? "fair" : "good"}`}>
              {queue.waiting.length
                ? `${queue.waiting.length} waiting, ${lasting(queue.longest_wait_s)}`
                : "nobody waits"}
            </span>
          </header>
          <p class="soft">
            {count(queue.answered, "call", "calls")} answered, {queue.abandoned} given up, {queue.left} gone
            on
            {queue.average_wait_s !== null && `; ${lasting(queue.average_wait_s)} waited on average`}
          </p>
          {queue.waiting.length > 0 && (
            <ol class="waiting" aria-label="Who waits">
              {queue.waiting.map((one) => (
                <li key={one.call}>
                  {lasting(one.waited_s)} {one.ringing && <span class="tag">an agent is rung</span>}
                </li>
              ))}
            </ol>
          )}
          <ul class="chips agents" aria-label="Agents">
            {queue.agents.map((one) => (
              <li key={one.extension}>
                <b>{one.extension}</b> <span class={`tag ${MARKS[one.state] ?? ""}`}>{one.state}</span>{" "}
                <span class="soft">{one.calls}</span>
              </li>
            ))}
          </ul>
        </article>
      ))}
    </section>
  );
}
