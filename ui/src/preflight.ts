// Before joining: may we use the microphone, which one, is it loud enough, does sound come back from the server.

import { type ReadonlySignal, signal } from "@preact/signals";
import type { Visit } from "./api";
import { canPickSpeaker, choose, close, type Device, list, openMicrophone, permission } from "./devices";
import { type Meter, meter } from "./level";
import * as memory from "./memory";
import { CallFailed, Phone } from "./phone";
import { TimeoutError, within } from "./timing";
import {
  browserOf,
  microphoneTrouble,
  ofMicrophone,
  surroundingsTrouble,
  type Trouble,
  UNREACHABLE,
} from "./trouble";

/** A person may take a while to find the browser's question, but not for ever. */
const QUESTION_MS = 60_000;
const HINT_MS = 3_000;
const ECHO_MS = 8_000;
/** Louder than this is a voice and not a quiet room (-36 dB). */
const VOICE = 0.4;

export type MicrophoneState = "unasked" | "asking" | "ready" | "trouble";
export type EchoState = "off" | "calling" | "talk" | "done" | "quiet" | "trouble";

/** What the preflight card shows and does. */
export interface PreflightModel {
  microphone: ReadonlySignal<MicrophoneState>;
  /** The browser's question is open for a while now. */
  hint: ReadonlySignal<boolean>;
  trouble: ReadonlySignal<Trouble | null>;
  level: ReadonlySignal<number>;
  microphones: ReadonlySignal<Device[]>;
  speakers: ReadonlySignal<Device[]>;
  microphoneId: ReadonlySignal<string>;
  speakerId: ReadonlySignal<string>;
  /** Label of last time's device that is not there now. */
  missing: ReadonlySignal<string>;
  echo: ReadonlySignal<EchoState>;
  echoTrouble: ReadonlySignal<Trouble | null>;
  allow(): void;
  pickMicrophone(id: string): void;
  pickSpeaker(id: string): void;
  testSound(): void;
}

export class Preflight implements PreflightModel {
  readonly microphone = signal<MicrophoneState>("unasked");
  readonly hint = signal(false);
  readonly trouble = signal<Trouble | null>(null);
  readonly level = signal(0);
  readonly microphones = signal<Device[]>([]);
  readonly speakers = signal<Device[]>([]);
  readonly microphoneId = signal("");
  readonly speakerId = signal("");
  readonly missing = signal("");
  readonly echo = signal<EchoState>("off");
  readonly echoTrouble = signal<Trouble | null>(null);
  onPicked: () => void = () => undefined;
  account: () => Promise<Visit> = () => Promise.reject(new Error("no account"));

  private active = false;
  private run = 0;
  private stream: MediaStream | null = null;
  private meter: Meter | null = null;
  private echoPhone: Phone | null = null;
  private loudest = 0;

  constructor(private readonly player: HTMLAudioElement) {
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.devicesChanged());
  }

  /** Look around; open the microphone at once where that asks nobody. `known` is what went wrong at joining. */
  async begin(known: Trouble | null = null): Promise<void> {
    this.active = true;
    if (known && ofMicrophone(known)) {
      this.trouble.value = known;
      this.microphone.value = "trouble";
      return;
    }
    this.trouble.value = surroundingsTrouble({
      secure: isSecureContext,
      hasMediaDevices: Boolean(navigator.mediaDevices?.getUserMedia),
      hasPeerConnection: typeof RTCPeerConnection === "function",
      host: location.host,
    });
    if (this.trouble.value) {
      this.microphone.value = "trouble";
      return;
    }
    // Denied before: nobody will be asked either, and it is better said now than at the door.
    if ((await permission()) !== "prompt") await this.allow();
  }

  /** Stop listening; what was picked stays. */
  end(): void {
    this.active = false;
    this.run += 1;
    this.stopEcho("off");
    this.stopMeter();
    close(this.stream);
    this.stream = null;
    if (this.microphone.value !== "trouble") this.microphone.value = "unasked";
  }

  async allow(): Promise<void> {
    const run = ++this.run;
    this.stopMeter();
    close(this.stream);
    this.stream = null;
    this.microphone.value = "asking";
    this.trouble.value = null;
    const hint = setTimeout(() => {
      this.hint.value = true;
    }, HINT_MS);
    try {
      let opened = "";
      const asked = this.checkMicrophone().then((id) => {
        opened = id;
        return openMicrophone(id);
      });
      // A late yes must not leave the microphone on.
      asked.then((late) => run !== this.run && close(late)).catch(() => undefined);
      const stream = await within(QUESTION_MS, asked);
      if (run !== this.run || !this.active) {
        close(stream);
        return;
      }
      this.stream = stream;
      this.microphone.value = "ready";
      this.meter = meter(stream, (level) => {
        this.level.value = level;
        this.loudest = Math.max(this.loudest, level);
      });
      stream.getAudioTracks()[0]?.addEventListener("ended", () => this.allow());
      // Labels are told only from now on: look for last time's device by its name, too.
      const chosen = await this.checkMicrophone();
      const used = stream.getAudioTracks()[0]?.getSettings().deviceId;
      if (chosen && chosen !== opened && chosen !== used) await this.allow();
    } catch (error) {
      if (run !== this.run) return;
      if (error instanceof TimeoutError) this.run += 1;
      this.trouble.value = microphoneTrouble(error, browserOf(navigator.userAgent), this.wantedLabel());
      this.microphone.value = "trouble";
      await this.readDevices().catch(() => undefined);
    } finally {
      clearTimeout(hint);
      this.hint.value = false;
    }
  }

  /** Wait for a microphone that the browser may be asking about, and say so; throws TimeoutError in the end. */
  async ask(asked: Promise<MediaStream>): Promise<MediaStream> {
    this.microphone.value = "asking";
    const hint = setTimeout(() => {
      this.hint.value = true;
    }, HINT_MS);
    try {
      return await within(QUESTION_MS, asked);
    } catch (error) {
      // A late yes must not leave the microphone on.
      asked.then(close).catch(() => undefined);
      throw error;
    } finally {
      clearTimeout(hint);
      this.hint.value = false;
      this.microphone.value = "unasked";
    }
  }

  /** The microphone to open, after looking whether last time's is still there; "" is the default. */
  async checkMicrophone(): Promise<string> {
    await this.readDevices();
    return this.microphoneId.value;
  }

  wantedLabel(): string {
    return memory.microphone.get()?.label ?? "";
  }

  /** The device in use is gone: the default from now on, until the person picks again. */
  forgetMicrophone(): void {
    this.microphoneId.value = "";
  }

  pickMicrophone(id: string): void {
    const device = this.microphones.value.find((one) => one.id === id);
    memory.microphone.set(device ?? null);
    this.microphoneId.value = id;
    this.missing.value = "";
    this.onPicked();
    if (this.active) this.allow();
  }

  pickSpeaker(id: string): void {
    memory.speaker.set(this.speakers.value.find((one) => one.id === id) ?? null);
    this.speakerId.value = id;
    this.useSpeaker(this.player);
  }

  /** Play through the picked loudspeaker, or the default if that fails. */
  useSpeaker(player: HTMLAudioElement): void {
    if (canPickSpeaker) player.setSinkId(this.speakerId.value).catch(() => undefined);
  }

  /** A short call to the server's echo: what is said comes back. */
  async testSound(): Promise<void> {
    this.meter?.resume();
    if (this.echo.value === "calling" || this.echo.value === "talk") {
      this.stopEcho("off");
      return;
    }
    if (!this.stream) return;
    this.echo.value = "calling";
    this.echoTrouble.value = null;
    const run = this.run;
    try {
      const { sip } = await this.account();
      const phone = new Phone(sip, {
        heard: (stream) => {
          this.player.srcObject = stream;
          this.useSpeaker(this.player);
          this.player.play().catch(() => undefined);
        },
        ended: () => this.stopEcho("done"),
        shaky: () => undefined,
        moved: () => undefined,
      });
      if (run !== this.run || !this.stream) return;
      this.echoPhone = phone;
      // JsSIP ends the tracks of a stream that it was given, the meter needs its own.
      await phone.call(sip.echo_target, this.stream.clone());
      if (this.echoPhone !== phone) return;
      this.echo.value = "talk";
      this.loudest = 0;
      setTimeout(() => {
        if (this.echoPhone === phone) this.stopEcho(this.loudest < VOICE ? "quiet" : "done");
      }, ECHO_MS);
    } catch (error) {
      if (run !== this.run) return;
      this.stopEcho("trouble");
      this.echoTrouble.value = error instanceof CallFailed ? error.trouble : UNREACHABLE;
    }
  }

  private stopEcho(state: EchoState): void {
    this.echoPhone?.close();
    this.echoPhone = null;
    this.echo.value = state;
  }

  private stopMeter(): void {
    this.meter?.stop();
    this.meter = null;
  }

  private async readDevices(): Promise<void> {
    this.microphones.value = await list("audioinput");
    this.speakers.value = canPickSpeaker ? await list("audiooutput") : [];
    // Before the permission the browser names no devices: nothing can be said to be missing.
    const wanted = memory.microphone.get();
    if (this.microphones.value.length) {
      const choice = choose(this.microphones.value, wanted);
      this.microphoneId.value = choice.id;
      this.missing.value = choice.missing;
    } else {
      this.microphoneId.value = "";
    }
    this.speakerId.value = choose(this.speakers.value, memory.speaker.get()).id;
  }

  private async devicesChanged(): Promise<void> {
    const before = this.microphoneId.value;
    await this.readDevices().catch(() => undefined);
    this.useSpeaker(this.player);
    if (this.active && (this.microphone.value === "trouble" || before !== this.microphoneId.value)) {
      await this.allow();
    }
  }
}
