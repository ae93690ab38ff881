// SIP over WebSockets (RFC 7118) that JsSIP takes for one connection which never breaks: it would end a call with it.
//
// After a change of network a WebSocket looks open for minutes while nothing comes through. It is asked with the
// double CRLF of RFC 5626 §4.4.1, which the server answers at once; without an answer another one takes its place.

const PING = "\r\n\r\n";
/** Without an answer for so long the connection is dead. */
export const PONG_MS = 1_000;
/** A try that was begun so recently saw the network as it is now. */
const FRESH_MS = 300;
const FIRST_LIMIT_MS = 2_500;
const LIMIT_MS = 8_000;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 2_000;

/** How long the n-th try in a row (from 0) may take: a first packet lost with the old network costs little. */
export function limit_ms(tries: number): number {
  return Math.min(LIMIT_MS, FIRST_LIMIT_MS * 2 ** tries);
}

/** The pause before it, spread so that a restarted server is not met by all at once; `random` is in [0, 1). */
export function pause_ms(tries: number, random: number): number {
  return Math.round(Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** tries) * (0.5 + 0.5 * random));
}

export class SipSocket {
  readonly sip_uri: string;
  via_transport: string;
  // Set by JsSIP.
  onconnect: () => void = () => {};
  ondisconnect: (error: boolean, code?: number, reason?: string) => void = () => {};
  ondata: <T>(data: T) => void = () => {};
  /** The server answered a check. */
  onalive: () => void = () => {};
  /** The connection is lost (true), or there is another one (false). */
  onbroken: (broken: boolean) => void = () => {};

  private socket: WebSocket | null = null;
  private wanted = false;
  private open = false;
  private tries = 0;
  private begun_ms = 0;
  /** Ends the try, the pause before the next one, or the wait for an answer. */
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked = false;
  private known = false;
  private unsent: string[] = [];
  private readonly invite = new Invite();

  constructor(readonly url: string) {
    const { protocol, host } = new URL(url);
    this.sip_uri = `sip:${host};transport=ws`;
    this.via_transport = protocol === "wss:" ? "WSS" : "WS";
  }

  isConnected(): boolean {
    return this.open;
  }

  isConnecting(): boolean {
    return this.wanted && !this.open;
  }

  /** Connect, and stay connected until `disconnect`. */
  connect(): void {
    if (this.wanted) return;
    this.wanted = true;
    this.known = false;
    this.tries = 0;
    this.begin();
  }

  disconnect(): void {
    this.wanted = false;
    this.unsent = [];
    this.invite.unanswered = "";
    this.abandon();
  }

  /** Send a message, now or over the next connection. */
  send(message: string | ArrayBufferLike | Blob | ArrayBufferView): boolean {
    if (!this.wanted || typeof message !== "string") return false;
    const isInvite = this.invite.sent(message);
    if (this.open && this.socket) this.socket.send(message);
    else if (!isInvite) this.unsent.push(message);
    return true;
  }

  /** Ask whether the server is still there: `onalive` says so, else another connection is opened. */
  check(): void {
    const { socket } = this;
    if (!this.open || !socket || this.asked) return;
    this.asked = true;
    socket.send(PING);
    this.timer = setTimeout(() => this.lost(socket, true), PONG_MS);
  }

  /** The network may have changed: what is open is asked, what is being opened begins anew. */
  hurry(): void {
    if (this.open) this.check();
    else if (this.wanted && (!this.socket || Date.now() - this.begun_ms > FRESH_MS)) {
      this.tries = 0;
      this.begin();
    }
  }

  private begin(): void {
    this.abandon();
    this.begun_ms = Date.now();
    const socket = new WebSocket(this.url, "sip");
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.timer = setTimeout(() => this.lost(socket), limit_ms(this.tries));
    socket.onopen = () => this.opened(socket);
    socket.onmessage = ({ data }) => {
      this.answered();
      this.invite.received(data);
      this.ondata(data);
    };
    socket.onclose = () => this.lost(socket);
  }

  private opened(socket: WebSocket): void {
    clearTimeout(this.timer);
    this.open = true;
    this.tries = 0;
    // To the server a copy, if it had come through.
    if (this.invite.unanswered) socket.send(this.invite.unanswered);
    for (const message of this.unsent.splice(0)) socket.send(message);
    if (this.known) {
      this.onbroken(false);
      return;
    }
    this.known = true;
    this.onconnect();
  }

  private answered(): void {
    if (!this.asked) return;
    this.asked = false;
    clearTimeout(this.timer);
    this.onalive();
  }

  private lost(socket: WebSocket, atOnce = false): void {
    if (socket !== this.socket) return;
    const was = this.open;
    this.abandon();
    this.tries = was ? 0 : this.tries + 1;
    this.timer = setTimeout(() => this.begin(), atOnce ? 0 : pause_ms(this.tries, Math.random()));
    // Last: whoever is told may disconnect.
    if (was) this.onbroken(true);
  }

  private abandon(): void {
    clearTimeout(this.timer);
    this.open = this.asked = false;
    const { socket } = this;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}

/** The INVITE that waits for its final answer; there is one at a time (RFC 3261 §14.1). */
class Invite {
  unanswered = "";

  /** Note what is sent; whether it is an INVITE. */
  sent(message: string): boolean {
    if (!message.startsWith("INVITE ")) return false;
    this.unanswered = message;
    return true;
  }

  /** Note what comes: a final answer by its status and CSeq. */
  received(message: unknown): void {
    if (!this.unanswered || typeof message !== "string" || !/^SIP\/2\.0 [2-6]/.test(message)) return;
    if (sequence(message) === sequence(this.unanswered)) this.unanswered = "";
  }
}

function sequence(message: string): string {
  return /^CSeq:[ \t]*(\d+[ \t]+\w+)/im.exec(message)?.[1] ?? "";
}
