// What can go wrong before and during a call, in words, each with what to do about it.

export type TroubleKind =
  | "insecure"
  | "unsupported"
  | "denied"
  | "unanswered"
  | "no-microphone"
  | "microphone-gone"
  | "busy"
  | "microphone"
  | "unreachable"
  | "socket"
  | "webrtc"
  | "refused"
  | "link";

export interface Trouble {
  kind: TroubleKind;
  /** What is the matter, one sentence. */
  what: string;
  /** What the person can do, one or two sentences. */
  fix: string;
}

const MICROPHONE_KINDS: ReadonlySet<TroubleKind> = new Set([
  "denied",
  "unanswered",
  "no-microphone",
  "microphone-gone",
  "busy",
  "microphone",
]);

/** Whether another try at the microphone alone can show that it is over. */
export function ofMicrophone(trouble: Trouble): boolean {
  return MICROPHONE_KINDS.has(trouble.kind);
}

export type Browser = "chromium" | "firefox" | "safari" | "ios" | "android" | "other";

/** The family of a browser, as far as its ways of asking for a microphone differ. */
export function browserOf(userAgent: string): Browser {
  if (/iPhone|iPad/.test(userAgent)) return "ios";
  if (/Android/.test(userAgent)) return "android";
  if (/Firefox\//.test(userAgent)) return "firefox";
  if (/Chrom(e|ium)\//.test(userAgent)) return "chromium";
  if (/Safari\//.test(userAgent)) return "safari";
  return "other";
}

const HOW_TO_ALLOW: Record<Browser, string> = {
  chromium: "Click the icon left of the address, switch Microphone on, then choose “Try again”.",
  firefox: "Click the crossed-out microphone left of the address, remove the block, then choose “Try again”.",
  safari: "Open Safari › Settings for This Website, set Microphone to Allow, then choose “Try again”.",
  ios: "Tap “aA” or the menu in the address bar, open Website Settings, allow the microphone, then choose “Try again”.",
  android:
    "Tap the icon left of the address, open Permissions, allow the microphone, then choose “Try again”.",
  other: "Allow the microphone for this page in your browser's settings, then choose “Try again”.",
};

function nameOf(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.name : "";
}

/** Why the microphone cannot be used, from what getUserMedia threw; `wanted` is the label of the picked device. */
export function microphoneTrouble(error: unknown, browser: Browser, wanted = ""): Trouble {
  switch (nameOf(error)) {
    case "NotAllowedError":
    case "SecurityError":
      return {
        kind: "denied",
        what: "This page may not use your microphone.",
        fix: HOW_TO_ALLOW[browser],
      };
    case "NotFoundError":
    case "DevicesNotFoundError":
      return {
        kind: "no-microphone",
        what: "No microphone was found.",
        fix: "Plug in a microphone or headset and choose “Try again”.",
      };
    case "OverconstrainedError":
      return {
        kind: "microphone-gone",
        what: wanted
          ? `The microphone “${wanted}” is not there any more.`
          : "The chosen microphone is not there any more.",
        fix: "Plug it in again, or pick another microphone below.",
      };
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return {
        kind: "busy",
        what: "The microphone does not start: another program may be using it.",
        fix: "Close other programs that use the microphone, or pick another one below, then choose “Try again”.",
      };
    case "TimeoutError":
      return {
        kind: "unanswered",
        what: "The browser got no answer to its question about the microphone.",
        fix: "Choose “Try again”, then “Allow” in the browser's question.",
      };
    default:
      return {
        kind: "microphone",
        what: "The microphone does not start.",
        fix: "Unplug it and plug it in again, or restart the browser, then choose “Try again”.",
      };
  }
}

export interface Surroundings {
  secure: boolean;
  hasMediaDevices: boolean;
  hasPeerConnection: boolean;
  host: string;
}

/** What makes a call from this browser impossible before anything is tried; null if nothing does. */
export function surroundingsTrouble(here: Surroundings): Trouble | null {
  if (!here.secure) {
    return {
      kind: "insecure",
      what: "Browsers allow the microphone only on secure pages, and this one is not.",
      fix: `Open the address with https:// (https://${here.host}).`,
    };
  }
  if (!here.hasPeerConnection) {
    return {
      kind: "webrtc",
      what: "Calls are switched off in this browser (WebRTC).",
      fix: "Switch WebRTC on, pause the extension that blocks it, or use another browser.",
    };
  }
  if (!here.hasMediaDevices) {
    return {
      kind: "unsupported",
      what: "This browser cannot use a microphone on web pages.",
      fix: "Use a current Firefox, Chrome, Edge or Safari.",
    };
  }
  return null;
}

export const UNREACHABLE: Trouble = {
  kind: "unreachable",
  what: "The server does not answer.",
  fix: "Check your internet connection and try again.",
};

export const SOCKET_BLOCKED: Trouble = {
  kind: "socket",
  what: "The server answers, but no call connection can be opened (WebSocket).",
  fix: "A proxy or filter may block it: try another network, or a private window without extensions.",
};

export const MEDIA_BLOCKED: Trouble = {
  kind: "webrtc",
  what: "The call is up, but no sound gets through.",
  fix: "A firewall or VPN probably blocks it (UDP): try another network, or without the VPN.",
};

const LOOPBACK: Trouble = {
  kind: "webrtc",
  what: "Firefox sends no sound to 127.0.0.1, and the server takes it nowhere else.",
  fix: "Use Chrome or Edge on this machine, or let the server listen on the network, as it says at its start.",
};

/** Why no sound got through to the server that answered with this description. */
export function mediaTrouble(answer: string, browser: Browser): Trouble {
  return browser === "firefox" && /^a=candidate:.* (127\.|::1 )/m.test(answer) ? LOOPBACK : MEDIA_BLOCKED;
}

export const NO_ANSWER: Trouble = {
  kind: "refused",
  what: "The call was not answered in time.",
  fix: "Try again in a moment.",
};

export const WRONG_LINK: Trouble = {
  kind: "link",
  what: "This link is not valid.",
  fix: "Open the whole link from your invitation, or ask for a new one.",
};

/** The answer to a refused request, in the server's own words. */
export function refusedTrouble(status: number, detail: string): Trouble {
  if (status === 404 || status === 401) return { ...WRONG_LINK };
  if (status === 429) {
    return { kind: "refused", what: "Too many attempts came from your network.", fix: sentence(detail) };
  }
  if (status === 423 || (status === 403 && /lock/i.test(detail))) {
    return { kind: "refused", what: "The meeting is locked.", fix: "Ask the host to unlock it." };
  }
  if (status >= 500) {
    return {
      kind: "unreachable",
      what: "The server cannot take calls at the moment.",
      fix: "Try again in a moment.",
    };
  }
  return {
    kind: "refused",
    what: "The server refused.",
    fix: sentence(detail) || "Try again, or ask for a new link.",
  };
}

function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const start = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(start) ? start : `${start}.`;
}
