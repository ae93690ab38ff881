// Microphones and loudspeakers: what is there, what was picked last time, and whether it still is.

export interface Device {
  id: string;
  label: string;
}

export interface Choice {
  /** What to use; "" is the system's default. */
  id: string;
  /** The label of what was picked last time and is not there now; "" if all is well. */
  missing: string;
}

/** Find last time's device: by its id, else by its label, since browsers make up new ids when data is cleared. */
export function choose(there: Device[], remembered: Device | null): Choice {
  if (!remembered?.id) return { id: "", missing: "" };
  const same =
    there.find((one) => one.id === remembered.id) ??
    there.find((one) => one.label !== "" && one.label === remembered.label);
  return same ? { id: same.id, missing: "" } : { id: "", missing: remembered.label || "the chosen device" };
}

export type Kind = "audioinput" | "audiooutput";

/** The devices of a kind, the browser's aliases "default" and "communications" left out. */
export async function list(kind: Kind): Promise<Device[]> {
  const all = await navigator.mediaDevices.enumerateDevices();
  return all
    .filter((one) => one.kind === kind && one.deviceId && !/^(default|communications)$/.test(one.deviceId))
    .map((one, index) => ({ id: one.deviceId, label: one.label || `Device ${index + 1}` }));
}

/** A microphone's audio; throws what getUserMedia throws. The browser's own processing removes echo and noise. */
export function openMicrophone(id: string): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({
    audio: {
      ...(id ? { deviceId: { exact: id } } : {}),
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    },
  });
}

/** Whether the microphone may be used without asking; "prompt" where the browser does not tell. */
export async function permission(): Promise<PermissionState> {
  try {
    return (await navigator.permissions.query({ name: "microphone" as PermissionName })).state;
  } catch {
    return "prompt";
  }
}

export function close(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

/** Whether the browser lets pages choose where sound comes out. */
export const canPickSpeaker =
  typeof HTMLMediaElement === "function" && "setSinkId" in HTMLMediaElement.prototype;
