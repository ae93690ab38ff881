// In the call: the lobby or the list of who is here, what a host can do, and our own switches.

import { useEffect } from "preact/hooks";
import type { MeetingModel } from "../meeting";
import type { PreflightModel } from "../preflight";
import { present } from "../roster";
import { DialIn } from "./DialIn";
import { Icon } from "./icons";
import { PersonRow } from "./PersonRow";
import { Picker } from "./PreflightCard";

export function Room({ meeting, preflight }: { meeting: MeetingModel; preflight: PreflightModel }) {
  const inLobby = meeting.phase.value === "lobby";
  useMuteKey(meeting);
  return (
    <>
      {meeting.interruption.value && (
        <p class="banner">
          {meeting.interruption.value}{" "}
          {meeting.waiting.value && (
            <button type="button" class="quiet" onClick={() => meeting.retry()}>
              Try now
            </button>
          )}
        </p>
      )}
      {meeting.silent.value && (
        <p class="banner">
          Your browser waits for a click before it plays sound.{" "}
          <button type="button" class="quiet" onClick={() => meeting.playSound()}>
            Hear the meeting
          </button>
        </p>
      )}
      {meeting.notice.value && <p class="remark">{meeting.notice.value}</p>}
      {inLobby ? <Lobby /> : <People meeting={meeting} />}
      <details class="devices">
        <summary>Devices and dial-in</summary>
        <Picker
          label="Microphone"
          devices={preflight.microphones.value}
          chosen={preflight.microphoneId.value}
          onPick={(id) => preflight.pickMicrophone(id)}
        />
        <Picker
          label="Speaker"
          devices={preflight.speakers.value}
          chosen={preflight.speakerId.value}
          onPick={(id) => preflight.pickSpeaker(id)}
        />
        <DialIn ways={meeting.dialIn.value} />
      </details>
      <Switches meeting={meeting} inLobby={inLobby} />
    </>
  );
}

function Lobby() {
  return (
    <section class="card lobby">
      <h2>The host will let you in</h2>
      <p class="soft">You hear music until then. Nobody hears you yet.</p>
      <span class="breath" aria-hidden="true" />
    </section>
  );
}

function People({ meeting }: { meeting: MeetingModel }) {
  const picture = meeting.picture.value;
  const hosting = meeting.role.value === "host";
  const here = present(picture);
  const outside = hosting ? picture.waiting : [];
  return (
    <>
      {outside.length > 0 && (
        <section class="card waiting" aria-labelledby="waiting-title">
          <div class="heading">
            <h2 id="waiting-title">In the lobby</h2>
            {outside.length > 1 && (
              <button type="button" class="quiet" onClick={() => meeting.host("admit_all")}>
                Admit all
              </button>
            )}
          </div>
          <ul class="people">
            {outside.map((one) => (
              <li key={one.id} class="person">
                <div class="line">
                  <span class="face">
                    <Icon of={one.via === "phone" ? "phone" : "browser"} />
                  </span>
                  <span class="who" id={`waiting-${one.id}`}>
                    {one.name}
                  </span>
                  <button
                    type="button"
                    aria-describedby={`waiting-${one.id}`}
                    onClick={() => meeting.host("admit", one.id)}
                  >
                    Admit
                  </button>
                  <button
                    type="button"
                    class="quiet"
                    aria-describedby={`waiting-${one.id}`}
                    onClick={() => meeting.host("remove", one.id)}
                  >
                    Refuse
                  </button>
                </div>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section class="card" aria-labelledby="participants-title">
        <div class="heading">
          <h2 id="participants-title">Participants</h2>
          <span class="soft">
            {here.length}
            {picture.locked ? " · locked" : ""}
          </span>
          {hosting && (
            <button
              type="button"
              class="quiet"
              onClick={() => meeting.host(picture.locked ? "unlock" : "lock")}
            >
              <Icon of="lock" />
              {picture.locked ? "Unlock" : "Lock"}
            </button>
          )}
        </div>
        {/* biome-ignore lint/a11y/noRedundantRoles: Safari forgets that a list without bullets is one */}
        <ul class="people" role="list" aria-labelledby="participants-title">
          {here.map((one) => (
            <PersonRow
              key={one.id}
              person={one}
              you={one.id === picture.you.id}
              hosting={hosting}
              meeting={meeting}
            />
          ))}
        </ul>
        {here.length === 1 && <p class="soft">Nobody else is here yet.</p>}
      </section>
    </>
  );
}

function Switches({ meeting, inLobby }: { meeting: MeetingModel; inLobby: boolean }) {
  const muted = meeting.muted.value;
  return (
    <section class="switches" aria-label="Your controls">
      {!inLobby && (
        <>
          <button
            type="button"
            class={muted ? "switch on" : "switch"}
            aria-keyshortcuts="M"
            title="Key M"
            onClick={() => meeting.toggleMute()}
          >
            <Icon of={muted ? "microphone-off" : "microphone"} />
            <span>{muted ? "Unmute" : "Mute"}</span>
            <span class="key" aria-hidden="true">
              M
            </span>
          </button>
          <button
            type="button"
            class={meeting.hand.value ? "switch on" : "switch"}
            onClick={() => meeting.toggleHand()}
          >
            <Icon of="hand" />
            <span>{meeting.hand.value ? "Lower hand" : "Raise hand"}</span>
          </button>
        </>
      )}
      <button type="button" class="switch leave" onClick={() => meeting.leave()}>
        <Icon of="leave" />
        <span>Leave</span>
      </button>
    </section>
  );
}

/** M toggles mute wherever the focus is, except where letters are typed. */
function useMuteKey(meeting: MeetingModel): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "m" || event.repeat) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof HTMLElement && event.target.closest("input, select, textarea")) return;
      meeting.toggleMute();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [meeting]);
}
