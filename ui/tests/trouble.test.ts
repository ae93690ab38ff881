import { describe, expect, test } from "vitest";
import {
  browserOf,
  mediaTrouble,
  microphoneTrouble,
  refusedTrouble,
  surroundingsTrouble,
} from "../src/trouble";

const named = (name: string) => Object.assign(new Error("from the browser"), { name });
const CHROME =
  "Mozilla/5.0 (X11; Linux x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36";

describe("the microphone", () => {
  test.each([
    ["NotAllowedError", "denied"],
    ["NotFoundError", "no-microphone"],
    ["OverconstrainedError", "microphone-gone"],
    ["NotReadableError", "busy"],
    ["TimeoutError", "unanswered"],
    ["SomethingNewError", "microphone"],
  ])("%s is said as %s, with a fix", (name, kind) => {
    const trouble = microphoneTrouble(named(name), "chromium", "Headset");
    expect(trouble.kind).toBe(kind);
    expect(trouble.what).toMatch(/microphone.*\.$/);
    expect(trouble.fix).toMatch(/\.$/);
    expect(trouble.what + trouble.fix).not.toContain("from the browser");
  });

  test("what threw need not be an error", () => {
    expect(microphoneTrouble(undefined, "other").kind).toBe("microphone");
  });

  test("a device that is gone is called by its name", () => {
    expect(microphoneTrouble(named("OverconstrainedError"), "firefox", "Jabra 20").what).toContain(
      "“Jabra 20”",
    );
  });

  test("how to allow it depends on the browser", () => {
    const fixes = (["chromium", "firefox", "safari", "ios", "android", "other"] as const).map(
      (browser) => microphoneTrouble(named("NotAllowedError"), browser).fix,
    );
    expect(new Set(fixes).size).toBe(fixes.length);
  });

  test("browsers are told apart", () => {
    expect(browserOf(CHROME)).toBe("chromium");
    expect(browserOf("Mozilla/5.0 (X11; rv:145.0) Gecko/20100101 Firefox/145.0")).toBe("firefox");
    expect(browserOf("Mozilla/5.0 (Macintosh) AppleWebKit/605.1 Version/18.0 Safari/605.1")).toBe("safari");
    expect(browserOf("Mozilla/5.0 (iPhone; CPU iPhone OS 18) Version/18.0 Mobile Safari/604.1")).toBe("ios");
    expect(browserOf(CHROME.replace("X11; Linux x64", "Linux; Android 15"))).toBe("android");
  });
});

describe("the surroundings", () => {
  const fine = { secure: true, hasMediaDevices: true, hasPeerConnection: true, host: "pbx.example.com" };
  test("nothing to say when all is well", () => expect(surroundingsTrouble(fine)).toBeNull());
  test("an insecure page names the address that works", () => {
    expect(surroundingsTrouble({ ...fine, secure: false })?.fix).toContain("https://pbx.example.com");
  });
  test("WebRTC can be switched off", () => {
    expect(surroundingsTrouble({ ...fine, hasPeerConnection: false })?.kind).toBe("webrtc");
  });
});

describe("refusals", () => {
  test.each([
    [404, "", "link"],
    [429, "try again in 8 s", "refused"],
    [403, "the meeting is locked", "refused"],
    [503, "", "unreachable"],
    [409, "", "refused"],
  ])("%i %s becomes %s", (status, detail, kind) => {
    const trouble = refusedTrouble(status, detail);
    expect(trouble.kind).toBe(kind);
    expect(trouble.fix).toMatch(/^[A-Z].*\.$/);
  });
});

test("Firefox is told why no sound gets to a server on loopback, and others about firewalls", () => {
  const answer = (host: string) => `v=0\r\na=candidate:1 1 UDP 2130706431 ${host} 20000 typ host\r\n`;
  expect(mediaTrouble(answer("127.0.0.1"), "firefox").fix).toContain("Chrome");
  expect(mediaTrouble(answer("192.0.2.7"), "firefox").fix).toContain("firewall");
  expect(mediaTrouble(answer("127.0.0.1"), "chromium").fix).toContain("firewall");
});
