import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Preflight } from "../src/preflight";

let permission: PermissionState;
let asked: number;

beforeEach(() => {
  asked = 0;
  vi.stubGlobal("isSecureContext", true);
  vi.stubGlobal("RTCPeerConnection", class {});
  vi.stubGlobal("location", { host: "127.0.0.1:8080" });
  vi.stubGlobal("navigator", {
    userAgent: "Chromium/150",
    permissions: { query: async () => ({ state: permission }) },
    mediaDevices: {
      enumerateDevices: async () => [],
      getUserMedia: async () => {
        asked += 1;
        throw new DOMException("denied", "NotAllowedError");
      },
    },
  });
});
afterEach(() => vi.unstubAllGlobals());

const preflight = () => new Preflight({} as HTMLAudioElement);

test("a microphone that was denied before is said at once", async () => {
  permission = "denied";
  const before = preflight();
  await before.begin();
  expect(before.microphone.value).toBe("trouble");
  expect(before.trouble.value?.kind).toBe("denied");
});

test("nobody is asked before they want to", async () => {
  permission = "prompt";
  const before = preflight();
  await before.begin();
  expect(asked).toBe(0);
  expect(before.microphone.value).toBe("unasked");
});

test("what went wrong with the microphone at the door stays until it is tried again", async () => {
  permission = "prompt";
  const before = preflight();
  await before.begin({ kind: "no-microphone", what: "No microphone was found.", fix: "Plug one in." });
  expect(before.microphone.value).toBe("trouble");
  expect(before.trouble.value?.kind).toBe("no-microphone");
  await before.allow();
  expect(before.trouble.value?.kind).toBe("denied");
});
