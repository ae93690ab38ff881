// The visit of one person to one meeting, from opening the link to leaving: what the page shows is in its signals.

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import * as api from "./api";
import { close, openMicrophone } from "./devices";
import * as memory from "./memory";
import { CallFailed, Phone } from "./phone";
import type { Preflight } from "./preflight";
import { type Input, type Link, started, step } from "./reconnect";
import { announcements, EMPTY, type Picture, pictureOf } from "./roster";
import type { ServerEvent } from "./sse";
import {
  browserOf,
  microphoneTrouble,
  refusedTrouble,
  type Trouble,
  UNREACHABLE,
  WRONG_LINK,
} from "./trouble";

export type Phase = "opening" | "preflight" | "joining" | "lobby" | "meeting" | "over";

export interface DialIn {
  number: string;
  address: string;
  pin: string;
}

/** Something said to those who listen; its number tells it from the same words said before. */
export interface Saying {
  id: number;
  words: string;
}

/** What the components show and do; a story can stand in for the real one. */
export interface MeetingModel {
  phase: ReadonlySignal<Phase>;
  title: ReadonlySignal<string>;
  role: ReadonlySignal<"host" | "guest">;
  name: ReadonlySignal<string>;
  dialIn: ReadonlySignal<DialIn>;
  trouble: ReadonlySignal<Trouble | null>;
  /** The call is being brought back; in words. */
  interruption: ReadonlySignal<string>;
  /** Nothing is tried until the next turn, which the person can bring forward. */
  waiting: ReadonlySignal<boolean>;
  picture: ReadonlySignal<Picture>;
  muted: ReadonlySignal<boolean>;
  hand: ReadonlySignal<boolean>;
  /** Why it is over, when it is. */
  ending: ReadonlySignal<string>;
  /** Spoken by screen readers, newest last. */
  said: ReadonlySignal<Saying[]>;
  /** A passing remark, such as a device that went away. */
  notice: ReadonlySignal<string>;
  /** The browser wants a click before it plays sound. */
  silent: ReadonlySignal<boolean>;
  setName(name: string): void;
  join(): void;
  leave(): void;
  retry(): void;
  toggleMute(): void;
  toggleHand(): void;
  playSound(): void;
  host(act: api.Act, participant?: string): void;
}

const TICK_MS = 250;
/** After so long without a picture of the meeting the page goes on without. */
const PICTURE_MS = 3_000;
/** For so long after it is done what we asked for is shown, even if the server's picture is older. */
const TRUST_MS = 2_000;
const WORDS = { muted: ["mute", "unmute"], hand: ["hand", "lower"] } as const;

type Switch = "muted" | "hand";

/** A switch of ours that the server's picture may not show yet. */
interface Wish {
  value: boolean;
  /** Not sent, or lost with the network: sent with the next sign of the server. */
  owed: boolean;
  /** The picture counts again from then on. */
  until_ms: number;
}

export class Meeting implements MeetingModel {
  readonly phase = signal<Phase>("opening");
  readonly title = signal("Join the meeting");
  readonly role = signal<"host" | "guest">("guest");
  readonly name = signal(memory.name.get());
  readonly dialIn;
  readonly trouble = signal<Trouble | null>(null);
  readonly interruption = signal("");
  readonly waiting = signal(false);
  readonly picture = signal<Picture>(EMPTY);
  readonly muted = signal(false);
  readonly hand = signal(false);
  readonly ending = signal("");
  readonly said = signal<Saying[]>([]);
  readonly notice = signal("");
  readonly silent = signal(false);
  readonly inCall = computed(() => this.phase.value === "lobby" || this.phase.value === "meeting");

  private link: Link = { state: "over", trouble: null };
  private visit: api.Visit | null = null;
  private phone: Phone | null = null;
  private sound: MediaStream | null = null;
  private following: AbortController | null = null;
  private stream: AbortController | null = null;
  private first: Picture | null = null;
  private shaky = false;
  private sayings = 0;
  private wishes: Partial<Record<Switch, Wish>> = {};

  constructor(
    readonly number: string,
    private readonly token: string,
    address: string,
    private readonly player: HTMLAudioElement,
    private readonly preflight: Preflight,
  ) {
    this.dialIn = signal<DialIn>({ number, address, pin: "" });
    preflight.onPicked = () => this.microphonePicked();
    preflight.account = () => api.visit(number, token, this.name.peek().trim() || "Guest", null);
    setInterval(() => this.feed({ kind: "tick" }), TICK_MS);
    const networkChanged = () => {
      this.feed({ kind: "hurry" });
      this.phone?.networkChanged();
    };
    addEventListener("online", networkChanged);
    (navigator as { connection?: EventTarget }).connection?.addEventListener("change", networkChanged);
    // Not `unload`: phones never send it. A page kept for "back" comes back to its start.
    addEventListener("pagehide", () => this.hangUp());
    addEventListener("pageshow", (event) => {
      if (event.persisted) location.reload();
    });
  }

  /** Learn what the link opens, and go to the preflight. */
  async open(): Promise<void> {
    this.phase.value = "opening";
    this.trouble.value = null;
    if (!this.token) {
      this.trouble.value = WRONG_LINK;
      return;
    }
    try {
      const known = await api.welcome(this.number, this.token);
      this.title.value = known.name;
      this.role.value = known.role;
      this.dialIn.value = { ...this.dialIn.value, pin: known.pin };
      this.phase.value = "preflight";
      document.title = `${known.name} · Ringback`;
      this.preflight.begin();
    } catch (error) {
      this.trouble.value = troubleOf(error);
    }
  }

  setName(name: string): void {
    this.name.value = name;
    memory.name.set(name.trim());
  }

  join(): void {
    this.preflight.end();
    this.trouble.value = null;
    this.ending.value = "";
    this.notice.value = "";
    this.first = null;
    this.picture.value = EMPTY;
    this.wishes = {};
    this.muted.value = false;
    this.hand.value = false;
    this.phase.value = "joining";
    this.link = started(Date.now());
    this.attempt();
  }

  retry(): void {
    if (this.link.state === "waiting") this.feed({ kind: "hurry" });
    else if (this.phase.value === "opening") this.open();
    else this.join();
  }

  leave(): void {
    // The call's own goodbye is enough where it gets through.
    if (this.visit && (this.shaky || this.link.state !== "up")) {
      api.act(this.visit, "leave").catch(() => undefined);
    }
    memory.seat.set(this.number, "");
    this.feed({ kind: "left" });
    this.finish("You left the meeting.");
  }

  toggleMute(): void {
    if (!this.inCall.value) return;
    const muted = !this.muted.value;
    this.showMuted(muted);
    this.notice.value = "";
    this.say(muted ? "You are muted." : "You are not muted.");
    this.wish("muted", muted);
  }

  toggleHand(): void {
    if (!this.inCall.value) return;
    const hand = !this.hand.value;
    this.hand.value = hand;
    this.say(hand ? "Your hand is raised." : "Your hand is lowered.");
    this.wish("hand", hand);
  }

  host(what: api.Act, participant?: string): void {
    this.act(what, participant);
  }

  playSound(): void {
    this.player.play().then(
      () => {
        this.silent.value = false;
      },
      () => {
        this.silent.value = true;
      },
    );
  }

  private act(what: api.Act, participant?: string): void {
    const visit = this.visit;
    if (!visit) return;
    api.act(visit, what, participant).catch((error) => this.failed(error));
  }

  private failed(error: unknown): void {
    this.notice.value = `That did not work: ${troubleOf(error).what}`;
  }

  private wish(which: Switch, value: boolean): void {
    this.wishes[which] = { value, owed: true, until_ms: Number.POSITIVE_INFINITY };
    this.sendWishes();
  }

  /** Tell the server what we want and it may not know. */
  private async sendWishes(): Promise<void> {
    const { visit, wishes } = this;
    if (!visit) return;
    for (const which of ["muted", "hand"] as const) {
      const wish = wishes[which];
      if (!wish?.owed) continue;
      wish.owed = false;
      try {
        await api.act(visit, WORDS[which][wish.value ? 0 : 1]);
        wish.until_ms = Date.now() + TRUST_MS;
      } catch (error) {
        if (error instanceof api.UnreachableError) {
          // Who pressed "Mute" while the network was away must not be heard when it is back.
          wish.owed = true;
        } else if (this.wishes[which] === wish) {
          delete this.wishes[which];
          this.failed(error);
        }
      }
    }
  }

  private feed(input: Input): void {
    const before = this.link;
    this.link = step(before, input, Date.now(), Math.random());
    if (this.link === before) return;
    switch (this.link.state) {
      case "connecting":
        if (before.state === "waiting") this.attempt();
        break;
      case "over":
        if (input.kind !== "left") this.giveUp(this.link.trouble);
        break;
    }
    this.showInterruption();
  }

  private showInterruption(): void {
    this.waiting.value = this.link.state === "waiting";
    const trying =
      this.link.state === "waiting" || (this.link.state === "connecting" && this.link.attempt > 0);
    const words = trying
      ? "The connection was lost. Rejoining…"
      : this.link.state === "up" && this.shaky
        ? "Reconnecting…"
        : "";
    if (words === this.interruption.value) return;
    const was = this.interruption.value;
    this.interruption.value = words;
    this.say(words || (was && this.link.state === "up" ? "You are connected again." : ""));
  }

  /** One try to get into the meeting. */
  private async attempt(): Promise<void> {
    this.dropCall();
    const tries = this.link;
    const current = () => this.link === tries;
    try {
      if (!this.sound?.getAudioTracks().some((one) => one.readyState === "live")) {
        this.sound = await this.openSound();
        const missing = this.preflight.missing.value;
        if (missing)
          this.notice.value = `“${missing}” is not there: you speak through the default microphone.`;
      }
      if (!current()) return;
      const name = this.name.value.trim() || "Guest";
      const visit = await api.visit(this.number, this.token, name, memory.seat.get(this.number) || null);
      if (!current()) return;
      this.visit = visit;
      memory.seat.set(this.number, visit.secret);
      this.role.value = visit.role;
      this.dialIn.value = { ...this.dialIn.value, pin: visit.meeting.host_pin ?? visit.meeting.guest_pin };
      this.follow(visit);
      const phone = new Phone(visit.sip, {
        heard: (stream) => this.play(stream),
        ended: (byThem, reason) => this.ended(phone, byThem, reason),
        shaky: (broken) => {
          this.shaky = broken;
          this.showInterruption();
        },
        moved: () => this.stream?.abort(),
      });
      this.phone = phone;
      this.shaky = false;
      phone.mute(this.muted.value);
      await phone.call(visit.sip.target, this.sound);
      if (!current()) {
        phone.close();
        return;
      }
      this.feed({ kind: "connected" });
      // A restarted server knows nothing of our own switches.
      if (this.muted.value) this.wish("muted", true);
      if (this.hand.value) this.wish("hand", true);
      this.arrive();
      setTimeout(
        () => this.phase.value === "joining" && this.link.state === "up" && this.arrive(true),
        PICTURE_MS,
      );
    } catch (error) {
      if (!current()) return;
      if (tries.state === "connecting" && tries.attempt > 0 && isGone(error)) {
        this.sentAway("The meeting has ended.");
        return;
      }
      const final = error instanceof CallFailed ? error.final : isFinal(error);
      this.feed({ kind: "failed", trouble: troubleOf(error, this.preflight.wantedLabel()), final });
    }
  }

  private async openSound(): Promise<MediaStream> {
    const stream = await this.preflight.ask(openMicrophone(await this.preflight.checkMicrophone()));
    const [track] = stream.getAudioTracks();
    if (track) {
      track.enabled = !this.muted.value;
      track.addEventListener("ended", () => this.microphoneLost());
    }
    return stream;
  }

  /** The device was unplugged in the call: go on with the system's default, and say so. */
  private async microphoneLost(): Promise<void> {
    if (!this.inCall.value) return;
    this.preflight.forgetMicrophone();
    try {
      this.sound = await this.openSound();
      const [track] = this.sound.getAudioTracks();
      if (track) await this.phone?.replaceSound(track);
      this.notice.value = `Your microphone was unplugged. You are heard through ${track?.label || "another one"} now.`;
    } catch {
      this.notice.value = "Your microphone was unplugged, and there is no other: nobody hears you.";
    }
    this.say(this.notice.value);
  }

  private async microphonePicked(): Promise<void> {
    if (!this.inCall.value) return;
    const old = this.sound;
    this.sound = await this.openSound().catch(() => old);
    const [track] = this.sound?.getAudioTracks() ?? [];
    if (track && this.sound !== old) {
      await this.phone?.replaceSound(track);
      close(old);
    }
  }

  private play(stream: MediaStream): void {
    this.player.srcObject = stream;
    this.preflight.useSpeaker(this.player);
    this.playSound();
  }

  /** The call is up: show lobby or meeting as soon as the picture says which, or by the rule if it does not. */
  private arrive(guess = false): void {
    const { state } = this.picture.value.you;
    let phase: Phase;
    if (state === "lobby" || state === "in") phase = state === "in" ? "meeting" : "lobby";
    else if (!guess) return;
    else
      phase = this.visit?.meeting.admission === "lobby" && this.role.value === "guest" ? "lobby" : "meeting";
    if (this.phase.value === phase) return;
    if (phase === "lobby") this.say("You are in the lobby. The host will let you in.");
    else if (this.phase.value === "joining") this.say("You are in the meeting.");
    this.phase.value = phase;
  }

  private follow(visit: api.Visit): void {
    this.following?.abort();
    const following = new AbortController();
    this.following = following;
    let renew_ms = Math.max(30_000, visit.sip.expires_in_s * 500);
    let renewed = Date.now();
    const renew = setInterval(() => {
      if (Date.now() - renewed < renew_ms) return;
      renewed = Date.now();
      // Failing is no harm yet: half of the time is left for another try.
      api.renew(visit).catch(() => {
        renew_ms = 30_000;
      });
    }, 10_000);
    following.signal.addEventListener("abort", () => clearInterval(renew));
    const run = async () => {
      let tries = 0;
      const received = (event: ServerEvent) => {
        tries = 0;
        this.received(event.event, event.data);
      };
      while (!following.signal.aborted) {
        const stream = new AbortController();
        this.stream = stream;
        try {
          await api.follow(visit, received, AbortSignal.any([following.signal, stream.signal]), tries);
        } catch (error) {
          if (error instanceof api.ProblemError && error.status < 500) return;
        }
        tries += 1;
        // From a new place of the network at once.
        if (!stream.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    };
    run();
  }

  private received(event: string, data: string): void {
    if (event !== "state") return;
    let picture: Picture;
    try {
      picture = pictureOf(JSON.parse(data));
    } catch {
      return;
    }
    for (const words of announcements(this.first, picture)) this.say(words);
    this.first = picture;
    this.picture.value = picture;
    const { you } = picture;
    const ending = you.state === "outside" ? endingOf(you.why) : "";
    if (ending) {
      this.sentAway(ending);
      return;
    }
    this.role.value = you.role;
    if (this.link.state !== "up") return;
    this.arrive();
    if (!this.inCall.value || you.state === "outside") return;
    this.sendWishes();
    const now = Date.now();
    const { muted, hand } = this.wishes;
    if (!muted || muted.until_ms < now) {
      if (you.muted !== this.muted.value) {
        const words = you.muted ? "The host muted you." : "You are not muted any more.";
        this.say(words);
        this.notice.value = you.muted ? words : "";
      }
      this.showMuted(you.muted);
    }
    if (!hand || hand.until_ms < now) this.hand.value = you.hand;
  }

  private sentAway(ending: string): void {
    memory.seat.set(this.number, "");
    this.feed({ kind: "left" });
    this.finish(ending);
  }

  private showMuted(muted: boolean): void {
    this.muted.value = muted;
    for (const track of this.sound?.getAudioTracks() ?? []) track.enabled = !muted;
    this.phone?.mute(muted);
  }

  private ended(phone: Phone, byThem: boolean, reason: string): void {
    if (phone !== this.phone) return;
    this.phone = null;
    const ending = byThem ? endingOf(reason) : "";
    if (ending) {
      this.sentAway(ending);
      return;
    }
    this.feed({ kind: "lost" });
  }

  private giveUp(trouble: Trouble | null): void {
    this.hangUp();
    this.interruption.value = "";
    this.trouble.value = trouble ?? UNREACHABLE;
    this.phase.value = "preflight";
    this.preflight.begin(this.trouble.value);
    this.say(`${this.trouble.value.what} ${this.trouble.value.fix}`);
  }

  private finish(words: string): void {
    this.hangUp();
    this.interruption.value = "";
    this.ending.value = words;
    this.phase.value = "over";
    this.say(words);
  }

  private hangUp(): void {
    this.dropCall();
    close(this.sound);
    this.sound = null;
    this.player.srcObject = null;
  }

  private dropCall(): void {
    this.following?.abort();
    this.following = null;
    this.phone?.close();
    this.phone = null;
  }

  private say(words: string): void {
    if (!words) return;
    this.sayings += 1;
    this.said.value = [...this.said.value.slice(-4), { id: this.sayings, words }];
  }
}

/** What the server's goodbye means to a person; "" when it is none, and the call should come back. */
export function endingOf(reason: string): string {
  if (/remov|kick/i.test(reason)) return "The host removed you from the meeting.";
  if (/lock/i.test(reason)) return "The meeting is locked.";
  if (/^ended$|meeting (was )?(ended|deleted|over|closed)|deleted/i.test(reason))
    return "The meeting has ended.";
  if (/another call/i.test(reason)) return "You joined again from another tab or window.";
  if (/reject|declin|refus|not admitted/i.test(reason)) return "The host did not let you in.";
  return "";
}

/** The link was right a moment ago and is not any more. */
function isGone(error: unknown): boolean {
  return error instanceof api.ProblemError && error.status === 404;
}

function isFinal(error: unknown): boolean {
  if (error instanceof api.ProblemError)
    return error.status < 500 && error.status !== 429 && error.status !== 408;
  return !(error instanceof api.UnreachableError);
}

function troubleOf(error: unknown, wanted = ""): Trouble {
  if (error instanceof CallFailed) return error.trouble;
  if (error instanceof api.ProblemError) return refusedTrouble(error.status, error.detail);
  if (error instanceof api.UnreachableError) return UNREACHABLE;
  return microphoneTrouble(error, browserOf(navigator.userAgent), wanted);
}
