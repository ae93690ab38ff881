// The page in each of its phases.

import { useEffect, useRef } from "preact/hooks";
import type { MeetingModel, Phase } from "../meeting";
import type { PreflightModel } from "../preflight";
import { DialIn } from "./DialIn";
import { PreflightCard } from "./PreflightCard";
import { Room } from "./Room";
import { TroubleBox } from "./TroubleBox";

const inCall = (phase: Phase) => phase === "lobby" || phase === "meeting";

export function App({ meeting, preflight }: { meeting: MeetingModel; preflight: PreflightModel }) {
  const phase = meeting.phase.value;
  const trouble = meeting.trouble.value;
  const heading = useRef<HTMLHeadingElement>(null);
  const called = inCall(phase);
  const before = useRef(called);
  // What had the focus is gone when a call begins or ends: go on at the top, where the phase is said.
  useEffect(() => {
    if (before.current !== called) heading.current?.focus();
    before.current = called;
  }, [called]);
  return (
    <main>
      <h1 ref={heading} tabIndex={-1}>
        {meeting.title.value}
      </h1>
      <p class="soft">{subtitle(phase, meeting)}</p>
      {trouble && !called && trouble.kind !== preflight.trouble.value?.kind && (
        <TroubleBox
          trouble={trouble}
          {...(trouble.kind === "link" ? {} : { onRetry: () => meeting.retry() })}
        />
      )}
      {(phase === "preflight" || phase === "joining") && (
        <PreflightCard meeting={meeting} preflight={preflight} />
      )}
      {called && <Room meeting={meeting} preflight={preflight} />}
      {phase === "over" && <Over meeting={meeting} />}
      {!called && phase !== "over" && (
        <DialIn
          ways={meeting.dialIn.value}
          urgent={
            trouble !== null || preflight.trouble.value !== null || preflight.echoTrouble.value !== null
          }
        />
      )}
      <div class="unseen" role="log" aria-live="polite" aria-label="What happens">
        {meeting.said.value.map(({ id, words }) => (
          <p key={id}>{words}</p>
        ))}
      </div>
    </main>
  );
}

function subtitle(phase: Phase, meeting: MeetingModel): string {
  switch (phase) {
    case "opening":
      return meeting.trouble.value ? "" : "Opening…";
    case "preflight":
    case "joining":
      return meeting.role.value === "host" ? "You are the host." : "You are invited.";
    case "lobby":
      return "Lobby";
    case "meeting":
      return meeting.role.value === "host" ? "You are in, as the host." : "You are in.";
    case "over":
      return "";
  }
}

function Over({ meeting }: { meeting: MeetingModel }) {
  return (
    <section class="card">
      <p>{meeting.ending.value}</p>
      <button type="button" class="quiet" onClick={() => meeting.join()}>
        Join again
      </button>
    </section>
  );
}
