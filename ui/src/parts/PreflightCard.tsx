// Before joining: name, microphone, loudspeaker, level, echo test.

import type { Device } from "../devices";
import type { MeetingModel } from "../meeting";
import type { EchoState, PreflightModel } from "../preflight";
import { Level } from "./Level";
import { TroubleBox } from "./TroubleBox";

const ECHO_WORDS: Record<EchoState, string> = {
  off: "",
  calling: "Calling the server…",
  talk: "Say something: you should hear yourself a moment later.",
  done: "The test is over. If you heard yourself, all is well.",
  quiet: "The test is over, but hardly anything came from your microphone. Is it muted, or the wrong one?",
  trouble: "",
};

export function PreflightCard({ meeting, preflight }: { meeting: MeetingModel; preflight: PreflightModel }) {
  const joining = meeting.phase.value === "joining";
  const echo = preflight.echo.value;
  const testing = echo === "calling" || echo === "talk";
  return (
    <form
      class="card preflight"
      onSubmit={(event) => {
        event.preventDefault();
        meeting.join();
      }}
    >
      <label>
        <span>Your name</span>
        <input
          type="text"
          autocomplete="name"
          maxlength={60}
          value={meeting.name.value}
          onInput={(event) => meeting.setName(event.currentTarget.value)}
        />
      </label>
      <Microphone preflight={preflight} />
      <div class="actions">
        <button type="submit" disabled={joining}>
          {joining ? "Joining…" : "Join"}
        </button>
        {preflight.microphone.value === "ready" && (
          <button type="button" class="quiet" onClick={() => preflight.testSound()}>
            {testing ? "Stop the test" : "Test sound"}
          </button>
        )}
      </div>
      <p class="soft echo" role="status">
        {ECHO_WORDS[echo]}
      </p>
      {preflight.echoTrouble.value && <TroubleBox trouble={preflight.echoTrouble.value} />}
    </form>
  );
}

function Microphone({ preflight }: { preflight: PreflightModel }) {
  const state = preflight.microphone.value;
  const trouble = preflight.trouble.value;
  return (
    <>
      {preflight.missing.value && (
        <p class="remark">
          “{preflight.missing.value}” from last time is not there. The default microphone is used.
        </p>
      )}
      {state === "unasked" && (
        <p class="ask">
          <button type="button" class="quiet" onClick={() => preflight.allow()}>
            Allow the microphone
          </button>
          <span class="soft">Or just join: your browser will ask.</span>
        </p>
      )}
      {state === "asking" && (
        <p class="soft" role="status">
          {preflight.hint.value
            ? "Your browser is asking about the microphone, often at the top left: choose “Allow”."
            : "Opening the microphone…"}
        </p>
      )}
      {state === "trouble" && trouble && <TroubleBox trouble={trouble} onRetry={() => preflight.allow()} />}
      {state === "ready" && <Level level={preflight.level} />}
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
    </>
  );
}

interface PickerProps {
  label: string;
  devices: Device[];
  chosen: string;
  onPick: (id: string) => void;
}

export function Picker({ label, devices, chosen, onPick }: PickerProps) {
  if (!devices.length) return null;
  return (
    <label class="picker">
      <span>{label}</span>
      <select value={chosen} onChange={(event) => onPick(event.currentTarget.value)}>
        <option value="">System default</option>
        {devices.map((one) => (
          <option key={one.id} value={one.id}>
            {one.label}
          </option>
        ))}
      </select>
    </label>
  );
}
