// One SIP call over WebSocket (RFC 7118) by JsSIP: set up, kept through changes of network, ended.

import { UA } from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import type { SipAccount } from "./api";
import { Path, packetsOf } from "./path";
import { SipSocket } from "./socket";
import { TimeoutError, within } from "./timing";
import { browserOf, mediaTrouble, NO_ANSWER, refusedTrouble, SOCKET_BLOCKED, type Trouble } from "./trouble";

const SOCKET_MS = 8_000;
const ANSWER_MS = 20_000;
const MEDIA_MS = 10_000;
/** The server learns our address from our own connectivity checks (it is ICE-lite), so gathering is not waited for. */
const CANDIDATE_MS = 150;
const LOOK_MS = 500;

/** Answers after which the same call cannot succeed; 401 can: the next try brings a new account. */
const FINAL: ReadonlySet<number> = new Set([403, 404, 410, 423, 488, 603]);

/** A call could not be set up; `final` when trying again cannot help. */
export class CallFailed extends Error {
  override name = "CallFailed";
  constructor(
    readonly trouble: Trouble,
    readonly final: boolean,
  ) {
    super(trouble.what);
  }
}

export interface PhoneListener {
  /** Sound from the other side. */
  heard(stream: MediaStream): void;
  /** The call is over and we did not want it; `byThem` when the server ended it properly. */
  ended(byThem: boolean, reason: string): void;
  /** The signalling connection or the media path is broken (true), or well again (false). */
  shaky(broken: boolean): void;
  /** The server is reached by a new connection: others that were open before may be dead. */
  moved(): void;
}

interface ReasonSource {
  getHeader?(name: string): string | undefined;
  status_code?: number;
}

/** The text of a Reason header (RFC 3326): `SIP;cause=200;text="removed"`. */
export function reasonText(header: string | undefined): string {
  return /text="((?:[^"\\]|\\.)*)"/.exec(header ?? "")?.[1] ?? "";
}

export class Phone {
  private readonly ua: UA;
  private session: RTCSession | null = null;
  private leaving = false;
  private muted = false;
  private readonly socket: SipSocket;
  private readonly path = new Path();
  private socketBroken = false;
  private pathBroken = false;
  private shaky = false;
  /** The server is to learn where we are, as soon as an offer can be sent. */
  private restartOwed = false;
  private looking: ReturnType<typeof setInterval> | undefined;

  /** How the server described its side. */
  private answer = "";

  constructor(
    account: SipAccount,
    private readonly listener: PhoneListener,
  ) {
    this.socket = new SipSocket(`${location.origin.replace(/^http/, "ws")}/sip`);
    this.socket.onalive = () => {
      if (this.path.broken(Date.now())) this.restartIce();
    };
    this.socket.onbroken = (broken) => this.socketChanged(broken);
    this.ua = new UA({
      sockets: [this.socket],
      uri: account.uri,
      authorization_user: account.username,
      password: account.password,
      realm: account.realm,
      register: false,
      session_timers: false,
    });
  }

  /** Call `target` with our sound; settles when both sides can hear, throws CallFailed. */
  async call(target: string, sound: MediaStream): Promise<void> {
    try {
      await within(SOCKET_MS, this.connect());
    } catch {
      this.close();
      throw new CallFailed(SOCKET_BLOCKED, false);
    }
    try {
      const { path } = await within(ANSWER_MS, this.invite(target, sound));
      await within(MEDIA_MS, path).catch(() => {
        throw new CallFailed(mediaTrouble(this.answer, browserOf(navigator.userAgent)), false);
      });
    } catch (error) {
      this.close();
      throw error instanceof TimeoutError ? new CallFailed(NO_ANSWER, false) : error;
    }
  }

  /** Send another microphone's sound from now on. */
  async replaceSound(track: MediaStreamTrack): Promise<void> {
    const sender = this.session?.connection.getSenders().find((one) => one.track?.kind === "audio");
    await sender?.replaceTrack(track);
  }

  /** Send silence (true) or the microphone's sound (false) from now on, whatever becomes of the call.
   *
   * JsSIP has to know: with each new offer it lets the sound out again of whom it does not know to be muted. */
  mute(muted: boolean): void {
    this.muted = muted;
    const session = this.session;
    if (!session || session.isEnded()) return;
    if (muted) session.mute({ audio: true });
    else session.unmute({ audio: true });
  }

  /** The network may have changed: see whether the server is still there, and find a way to it if not. */
  networkChanged(): void {
    this.socket.hurry();
  }

  /** Say goodbye and close; safe at any time. */
  close(): void {
    this.leaving = true;
    try {
      if (this.session && !this.session.isEnded()) this.session.terminate();
    } catch {
      // It ended while we looked.
    }
    this.stop();
  }

  private stop(): void {
    clearInterval(this.looking);
    this.session = null;
    this.ua.stop();
  }

  /** Find a new path for the sound: an offer over a connection that was just found to be alive. */
  private restartIce(): void {
    const sent =
      this.socket.isConnected() && this.session?.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
    this.restartOwed = !sent;
    if (sent) this.path.tried(Date.now());
  }

  private connect(): Promise<void> {
    return new Promise((resolve) => {
      this.ua.on("connected", () => resolve());
      this.ua.start();
    });
  }

  private socketChanged(broken: boolean): void {
    this.socketBroken = broken;
    this.tellShaky();
    if (broken || !this.session) return;
    // Shows the server where we are now, and finds a path from the new network.
    this.restartIce();
    this.listener.moved();
  }

  /** Settles when answered; `path` does when sound can flow. */
  private invite(target: string, sound: MediaStream): Promise<{ path: Promise<void> }> {
    return new Promise((resolve, reject) => {
      let pathUp = () => {};
      let pathFailed = () => {};
      let isUp = false;
      const path = new Promise<void>((up, fail) => {
        pathUp = () => {
          isUp = true;
          up();
        };
        pathFailed = fail;
      });
      path.catch(() => {});
      let answered = false;
      const session = this.ua.call(target, {
        mediaStream: sound,
        mediaConstraints: { audio: true, video: false },
        pcConfig: { bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" },
        eventHandlers: {
          peerconnection: ({ peerconnection }) => {
            offerWithoutGathering(peerconnection);
            peerconnection.addEventListener("track", (event) => {
              this.listener.heard(event.streams[0] ?? new MediaStream([event.track]));
            });
            peerconnection.addEventListener("connectionstatechange", () => {
              if (peerconnection.connectionState === "connected") pathUp();
            });
            peerconnection.addEventListener("iceconnectionstatechange", () => {
              this.path.ice(peerconnection.iceConnectionState);
              this.judge();
            });
          },
          icecandidate: ({ ready }) => ready(),
          accepted: (event: unknown) => {
            answered = true;
            this.answer = (event as { response?: { body?: string } }).response?.body ?? "";
            this.looking = setInterval(() => this.look(session), LOOK_MS);
            resolve({ path });
          },
          failed: ({ cause, message }) => {
            const from = message as unknown as ReasonSource | null;
            const status = from?.status_code ?? 0;
            const said = reasonText(from?.getHeader?.("Reason")) || cause;
            const trouble = status ? refusedTrouble(status, said) : SOCKET_BLOCKED;
            reject(new CallFailed(trouble, FINAL.has(status)));
          },
          ended: ({ originator, message }) => {
            if (this.leaving || !answered) return;
            const from = message as unknown as ReasonSource | null;
            const reason = reasonText(from?.getHeader?.("Reason"));
            this.stop();
            // A browser that finds no path ends the call itself.
            if (!isUp && originator !== "remote") pathFailed();
            else this.listener.ended(originator === "remote", reason);
          },
        },
      });
      this.session = session;
      this.mute(this.muted);
    });
  }

  private async look(session: RTCSession): Promise<void> {
    const packets = await packetsOf(session.connection).catch(() => null);
    if (session !== this.session || packets === null) return;
    this.path.count(packets, Date.now());
    if (this.restartOwed) this.restartIce();
    this.judge();
  }

  /** Act on what is known of the path. */
  private judge(): void {
    const now_ms = Date.now();
    const was = this.pathBroken;
    this.pathBroken = this.path.broken(now_ms);
    // Where sound comes through again, a connection will too.
    if (was && !this.pathBroken) this.socket.hurry();
    if (this.path.due(now_ms)) this.socket.check();
    this.tellShaky();
  }

  private tellShaky(): void {
    const shaky = this.socketBroken || this.path.noticed(Date.now());
    if (this.leaving || shaky === this.shaky) return;
    this.shaky = shaky;
    this.listener.shaky(shaky);
  }
}

/** Let JsSIP send each offer after a moment, even if no candidate is ever found. */
export function offerWithoutGathering(connection: RTCPeerConnection): void {
  const add = connection.addEventListener.bind(connection) as (...all: unknown[]) => void;
  connection.addEventListener = (type: string, listener: unknown, ...more: unknown[]) => {
    add(type, listener, ...more);
    if (type === "icecandidate" && typeof listener === "function") {
      setTimeout(() => listener({ candidate: null }), CANDIDATE_MS);
    }
  };
}
