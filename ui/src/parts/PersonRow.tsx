// One participant: who, by what, speaking or muted, the line's quality; for hosts, what they can do.

import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { MeetingModel } from "../meeting";
import { complaints, figure, GRADE_WORDS, grade, type Quality } from "../quality";
import type { Person } from "../roster";
import { Icon } from "./icons";

interface RowProps {
  person: Person;
  you: boolean;
  hosting: boolean;
  meeting: MeetingModel;
}

export function PersonRow({ person, you, hosting, meeting }: RowProps) {
  const open = useSignal<"" | "quality" | "more">("");
  const details = useId();
  const muted = you ? meeting.muted.value : person.muted;
  const hand = you ? meeting.hand.value : person.hand;
  const talking = person.talking && !muted;
  const toggle = (what: "quality" | "more") => {
    open.value = open.value === what ? "" : what;
  };
  const level = person.quality ? grade(person.quality) : "unknown";
  return (
    <li class={talking ? "person talking" : "person"}>
      <div class="line">
        <span class="face">
          <Icon of={person.via === "phone" ? "phone" : "browser"} />
          <span class="unseen">{person.via === "phone" ? "By phone: " : "In a browser: "}</span>
        </span>
        <span class="who">
          <span class="name">{person.name}</span>
          {you && <span class="tag">you</span>}
          {person.role === "host" && <span class="tag">host</span>}
          <span class="unseen">{talking ? ", speaking" : ""}</span>
        </span>
        {hand && (
          <span class="mark hand">
            <Icon of="hand" />
            <span class="unseen">Hand raised</span>
          </span>
        )}
        {muted && (
          <span class="mark">
            <Icon of="microphone-off" />
            <span class="unseen">Muted</span>
          </span>
        )}
        <button
          type="button"
          class="dot-button"
          aria-expanded={open.value === "quality"}
          aria-controls={details}
          aria-label={`Connection of ${you ? "you" : person.name}: ${GRADE_WORDS[level]}`}
          onClick={() => toggle("quality")}
        >
          <span class={`dot ${level}`} />
        </button>
        {hosting && !you && (
          <button
            type="button"
            class="dot-button"
            aria-expanded={open.value === "more"}
            aria-controls={details}
            aria-label={`More for ${person.name}`}
            onClick={() => toggle("more")}
          >
            <span class="more" aria-hidden="true">
              …
            </span>
          </button>
        )}
      </div>
      <div id={details} class="details" hidden={open.value === ""}>
        {open.value === "quality" && (
          <QualityTable quality={person.quality} who={you ? "you" : person.name} />
        )}
        {open.value === "more" && (
          <div class="actions">
            {!person.muted && (
              <button type="button" class="quiet" onClick={() => meeting.host("mute_other", person.id)}>
                Mute {person.name}
              </button>
            )}
            <button type="button" class="quiet wrong" onClick={() => meeting.host("remove", person.id)}>
              Remove {person.name}
            </button>
          </div>
        )}
      </div>
    </li>
  );
}

function QualityTable({ quality, who }: { quality: Quality | null; who: string }) {
  if (!quality) return <p class="soft">Nothing is measured yet.</p>;
  const you = who === "you";
  const bad = complaints(quality, who);
  return (
    <>
      {bad.map((words) => (
        <p key={words}>{words}</p>
      ))}
      {!bad.length && (
        <p>{grade(quality) === "unknown" ? "Nothing is measured yet." : "The line is good."}</p>
      )}
      <table>
        <thead>
          <tr>
            <td />
            <th scope="col">Lost</th>
            <th scope="col">Jitter</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">{you ? "From you" : `From ${who}`}</th>
            <td>{figure(quality.received.lost_percent, "%")}</td>
            <td>{figure(quality.received.jitter_ms, "ms")}</td>
          </tr>
          <tr>
            <th scope="row">{you ? "To you" : `To ${who}`}</th>
            <td>{figure(quality.sent.lost_percent, "%")}</td>
            <td>{figure(quality.sent.jitter_ms, "ms")}</td>
          </tr>
          <tr>
            <th scope="row">Round trip</th>
            <td colSpan={2}>{figure(quality.round_trip_ms, "ms")}</td>
          </tr>
        </tbody>
      </table>
    </>
  );
}
