import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { limit_ms, PONG_MS, pause_ms, SipSocket } from "../src/socket";

/** A WebSocket whose network the test is. */
class Line {
  static all: Line[] = [];
  static get last(): Line {
    return Line.all.at(-1) as Line;
  }
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  binaryType = "";
  readonly sent: string[] = [];
  closed = false;
  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    Line.all.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
  }
}

const heard = { connected: 0, lost: 0, back: 0, alive: 0 };
let socket: SipSocket;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", Line);
  Line.all = [];
  Object.assign(heard, { connected: 0, lost: 0, back: 0, alive: 0 });
  socket = new SipSocket("wss://pbx.example.com:8443/sip");
  socket.onconnect = () => heard.connected++;
  socket.ondisconnect = () => expect.fail("JsSIP ends calls with their connection");
  socket.onbroken = (broken) => heard[broken ? "lost" : "back"]++;
  socket.onalive = () => heard.alive++;
});

afterEach(() => {
  socket.disconnect();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function connected(): Line {
  socket.connect();
  Line.last.onopen?.();
  return Line.last;
}

test("it is what JsSIP expects", () => {
  expect(socket.sip_uri).toBe("sip:pbx.example.com:8443;transport=ws");
  expect(socket.via_transport).toBe("WSS");
  const line = connected();
  expect(line.protocol).toBe("sip");
  expect(socket.send("INVITE")).toBe(true);
  expect(line.sent).toEqual(["INVITE"]);
  socket.disconnect();
  expect(line.closed).toBe(true);
  vi.advanceTimersByTime(60_000);
  expect(Line.all).toHaveLength(1);
});

describe("a check", () => {
  test("finds a connection that lives", () => {
    const line = connected();
    socket.check();
    socket.check();
    expect(line.sent).toEqual(["\r\n\r\n"]);
    line.onmessage?.({ data: "\r\n" });
    vi.advanceTimersByTime(60_000);
    expect(heard).toEqual({ connected: 1, lost: 0, back: 0, alive: 1 });
    expect(Line.all).toHaveLength(1);
  });

  test("replaces one that is dead at once", () => {
    const dead = connected();
    socket.check();
    vi.advanceTimersByTime(PONG_MS);
    expect(heard.lost).toBe(1);
    expect(socket.isConnected()).toBe(false);
    vi.advanceTimersByTime(1);
    expect(dead.closed).toBe(true);
    expect(Line.all).toHaveLength(2);
    Line.last.onopen?.();
    expect(heard).toEqual({ connected: 1, lost: 1, back: 1, alive: 0 });
    // What comes late from the old one is nobody's.
    expect(dead.onmessage).toBeNull();
  });
});

describe("a lost connection", () => {
  test("comes back by itself, and is told of once", () => {
    connected().onclose?.();
    for (let tries = 0; tries < 20; tries++) {
      vi.advanceTimersByTime(2_000);
      Line.last.onclose?.();
    }
    expect(heard.lost).toBe(1);
    expect(Line.all.length).toBeGreaterThan(15);
    vi.advanceTimersByTime(2_000);
    Line.last.onopen?.();
    expect(heard).toEqual({ connected: 1, lost: 1, back: 1, alive: 0 });
  });

  test("takes what is said meanwhile along, and what had no answer", () => {
    const line = connected();
    const invite = (number: number) => `INVITE sip:x SIP/2.0\r\nCSeq: ${number} INVITE\r\n\r\nv=0`;
    const answer = (status: string, number: number) => ({
      data: `SIP/2.0 ${status}\r\nCSeq: ${number} INVITE\r\n\r\n`,
    });
    socket.send(invite(1));
    line.onmessage?.(answer("200 OK", 1));
    socket.send("ACK sip:x SIP/2.0\r\n\r\n");
    socket.send(invite(2));
    line.onmessage?.(answer("100 Trying", 2));
    line.onmessage?.(answer("200 OK", 1));
    line.onclose?.();
    expect(socket.send("BYE sip:x SIP/2.0\r\n\r\n")).toBe(true);
    socket.hurry();
    Line.last.onopen?.();
    expect(Line.last.sent).toEqual([invite(2), "BYE sip:x SIP/2.0\r\n\r\n"]);
    Line.last.onmessage?.(answer("200 OK", 2));
    Line.last.onclose?.();
    socket.hurry();
    Line.last.onopen?.();
    expect(Line.last.sent).toEqual([]);
  });

  test("is not waited for when the network changed", () => {
    connected().onclose?.();
    socket.hurry();
    expect(Line.all).toHaveLength(2);
    // Many signs of one change are one change.
    socket.hurry();
    expect(Line.all).toHaveLength(2);
    vi.advanceTimersByTime(1_000);
    const old = Line.last;
    socket.hurry();
    expect(old.closed).toBe(true);
    expect(Line.all).toHaveLength(3);
  });

  test("a try that hangs is given up, a slow network gets more time", () => {
    socket.connect();
    vi.advanceTimersByTime(limit_ms(0) + 2_000);
    expect(Line.all).toHaveLength(2);
    expect([0, 1, 2, 9].map(limit_ms)).toEqual([2_500, 5_000, 8_000, 8_000]);
  });

  test("many pages do not come back in one moment", () => {
    expect([0, 1, 2, 9].map((tries) => pause_ms(tries, 0))).toEqual([250, 500, 1_000, 1_000]);
    expect([0, 1, 2, 9].map((tries) => pause_ms(tries, 1))).toEqual([500, 1_000, 2_000, 2_000]);
  });
});
