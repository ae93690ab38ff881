// The phone of this page: registered for one's extension over the WebSocket (RFC 7118), calls and is called by JsSIP.

import { UA } from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import { close, openMicrophone } from "../../devices";
import { microphone } from "../../memory";
import { offerWithoutGathering } from "../../phone";
import { SipSocket } from "../../socket";
import { browserOf, microphoneTrouble } from "../../trouble";
import { post, words } from "../server";
import * as state from "./calls";
import { tone } from "./tones";

/** Whoever loses the extension is cut off by then. */
const REGISTERED_S = 60;
const KEPT_OVER_MS = 6_000;

interface Held {
  session: RTCSession;
  sound: MediaStream | null;
  player: HTMLAudioElement;
}

export class Line {
  private ua: UA | null = null;
  private readonly held = new Map<string, Held>();

  /** Register; again after it was lost. */
  async open(): Promise<void> {
    if (state.line.value === "opening" || state.line.value === "ready") return;
    state.line.value = "opening";
    try {
      state.account.value = await post<state.PhoneAccount>("/phone");
    } catch (error) {
      state.line.value = "refused";
      state.trouble.value = { kind: "refused", what: words(error), fix: "Try again in a moment." };
      return;
    }
    const { sip, name } = state.account.value;
    const socket = new SipSocket(`${location.origin.replace(/^http/, "ws")}/sip`);
    const ua = new UA({
      sockets: [socket],
      uri: sip.uri,
      display_name: name,
      authorization_user: sip.username,
      password: sip.password,
      realm: sip.realm,
      register: true,
      register_expires: REGISTERED_S,
      session_timers: false,
      user_agent: "Ringback in a browser",
    });
    this.ua = ua;
    socket.onbroken = (broken) => this.broken(broken);
    ua.on("registered", () => {
      state.line.value = "ready";
      state.trouble.value = null;
    });
    ua.on("registrationFailed", ({ response }) => {
      // The session may be over, or the extension somebody else's: the next account says.
      state.line.value = "lost";
      if (response && [401, 403].includes(response.status_code)) this.reopen();
    });
    ua.on("newRTCSession", ({ originator, session }: { originator: string; session: RTCSession }) => {
      if (originator === "remote") this.comesIn(session);
    });
    addEventListener("pagehide", () => this.close());
    ua.start();
  }

  /** Settles once it is registered, or will not be soon. */
  async ready(): Promise<void> {
    for (let tries = 0; tries < 50 && state.line.value === "opening"; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  close(): void {
    for (const { session } of this.held.values()) if (!session.isEnded()) session.terminate();
    this.ua?.stop();
    this.ua = null;
    state.line.value = "off";
  }

  private reopen(): void {
    this.ua?.stop();
    this.ua = null;
    state.line.value = "lost";
    setTimeout(() => this.open(), 5_000);
  }

  /** Call somebody; calls that go on are held. */
  async call(typed: string, name = ""): Promise<void> {
    const target = state.dialString(typed);
    const ua = this.ua;
    if (!target || !ua) return;
    const sound = await this.microphone();
    if (!sound) return;
    this.holdOthers("");
    const host = state.account.value?.sip.uri.split("@")[1] ?? location.hostname;
    const session = ua.call(`sip:${encodeURIComponent(target).replaceAll("%2B", "+")}@${host}`, {
      mediaStream: sound,
      mediaConstraints: { audio: true, video: false },
      pcConfig: { bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" },
      eventHandlers: {
        icecandidate: ({ ready }) => ready(),
      },
    });
    this.take(session, { incoming: false, number: target, name, state: "dialling" }, sound);
    // It was made within the call, before the session had a name; its sound comes later.
    this.listen(session.id, session.connection);
  }

  async answer(id: string): Promise<void> {
    const held = this.held.get(id);
    if (!held) return;
    const sound = await this.microphone();
    if (!sound) return;
    held.sound = sound;
    this.holdOthers(id);
    held.session.on("peerconnection", ({ peerconnection }) => this.listen(id, peerconnection));
    held.session.on("icecandidate", ({ ready }) => ready());
    held.session.answer({
      mediaStream: sound,
      mediaConstraints: { audio: true, video: false },
      pcConfig: { bundlePolicy: "max-bundle", rtcpMuxPolicy: "require" },
    });
  }

  hangUp(id: string): void {
    const session = this.held.get(id)?.session;
    if (!session || session.isEnded()) return;
    const ringing = state.calls.value.find((one) => one.id === id)?.state === "incoming";
    session.terminate(ringing ? { status_code: 603, reason_phrase: "Decline" } : {});
  }

  mute(id: string, muted: boolean): void {
    const session = this.held.get(id)?.session;
    if (muted) session?.mute({ audio: true });
    else session?.unmute({ audio: true });
    state.changed(id, { muted });
  }

  hold(id: string, hold: boolean): void {
    const session = this.held.get(id)?.session;
    if (!session) return;
    if (!hold) this.holdOthers(id);
    if (hold ? session.hold() : session.unhold()) state.changed(id, { held: hold });
  }

  digit(id: string, key: string): void {
    this.held.get(id)?.session.sendDTMF(key, { transportType: "RFC2833" as never });
  }

  /** Give a call to somebody else: to a number, or to the other call of this page, which both leave then. */
  transfer(id: string, target: string, other = ""): void {
    const session = this.held.get(id)?.session;
    const host = state.account.value?.sip.uri.split("@")[1] ?? location.hostname;
    if (!session) return;
    const replaces = this.held.get(other)?.session;
    state.changed(id, { words: "Transferring…" });
    session.refer(`sip:${encodeURIComponent(state.dialString(target)).replaceAll("%2B", "+")}@${host}`, {
      ...(replaces ? { replaces } : {}),
      eventHandlers: {
        requestFailed: () => state.changed(id, { words: "The transfer was refused" }),
        accepted: () => {
          state.changed(id, { words: "Transferred" });
          if (!session.isEnded()) session.terminate();
        },
        failed: ({ message }: { message?: { status_code?: number } }) =>
          state.changed(id, { words: `Not transferred: ${state.whyNot(message?.status_code ?? 0, "")}` }),
      },
    } as never);
  }

  private async microphone(): Promise<MediaStream | null> {
    try {
      const sound = await openMicrophone(microphone.get()?.id ?? "");
      state.trouble.value = null;
      return sound;
    } catch (error) {
      state.trouble.value = microphoneTrouble(error, browserOf(navigator.userAgent));
      return null;
    }
  }

  private holdOthers(id: string): void {
    for (const one of state.alive.value) {
      if (one.id !== id && one.state === "talking" && !one.held) this.hold(one.id, true);
    }
  }

  private comesIn(session: RTCSession): void {
    const from = session.remote_identity;
    this.take(
      session,
      { incoming: true, number: from.uri.user, name: from.display_name ?? "", state: "incoming" },
      null,
    );
    if (document.hidden && "Notification" in window && Notification.permission === "granted") {
      new Notification(`${state.whom({ name: from.display_name ?? "", number: from.uri.user })} calls`);
    }
  }

  private take(
    session: RTCSession,
    call: Pick<state.Call, "incoming" | "number" | "name" | "state">,
    sound: MediaStream | null,
  ): void {
    const { id } = session;
    const player = new Audio();
    player.autoplay = true;
    this.held.set(id, { session, sound, player });
    const fresh = { since: null, held: false, heldByThem: false, muted: false, words: "" };
    state.calls.value = [...state.calls.value.filter((one) => one.id !== id), { id, ...call, ...fresh }];
    session.on("progress", () => {
      if (!call.incoming) state.changed(id, { state: "ringing" });
      this.sing();
    });
    session.on("accepted", () => {
      state.changed(id, { state: "talking", since: Date.now() });
      this.sing();
    });
    session.on(
      "hold",
      ({ originator }) => originator === "remote" && state.changed(id, { heldByThem: true }),
    );
    session.on(
      "unhold",
      ({ originator }) => originator === "remote" && state.changed(id, { heldByThem: false }),
    );
    session.on("failed", ({ message, cause }) => {
      const status = (message as unknown as { status_code?: number } | null)?.status_code ?? 0;
      this.over(id, call.incoming ? "" : state.whyNot(status, status ? cause : ""));
    });
    session.on("ended", () => this.over(id, ""));
    this.sing();
  }

  private listen(id: string, connection: RTCPeerConnection): void {
    offerWithoutGathering(connection);
    connection.addEventListener("track", (event) => {
      const player = this.held.get(id)?.player;
      if (!player) return;
      player.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      player.play().catch(() => {});
    });
  }

  private over(id: string, why: string): void {
    const held = this.held.get(id);
    if (!held) return;
    this.held.delete(id);
    close(held.sound);
    held.player.srcObject = null;
    const known = state.calls.value.find((one) => one.id === id);
    state.changed(id, { state: "over", words: known?.words || why });
    this.sing();
    setTimeout(() => {
      state.calls.value = state.calls.value.filter((one) => one.id !== id);
    }, KEPT_OVER_MS);
  }

  /** Ring while somebody calls; let one hear that it rings at the other end. */
  private sing(): void {
    const all = state.alive.value;
    const called = all.some((one) => one.state === "incoming") && !state.active.value;
    tone(called ? "called" : all.some((one) => one.state === "ringing") ? "ringing" : "");
  }

  /** The connection is lost, or there is another one: calls find a path from there, and others find us. */
  private broken(broken: boolean): void {
    if (broken) {
      state.line.value = "lost";
      return;
    }
    this.ua?.register();
    for (const { session } of this.held.values()) {
      if (session.isEstablished()) session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
    }
  }
}

export const phone = new Line();
