// The server's HTTP interface as the page uses it: every request ends within its time.

import { EventParser, type ServerEvent } from "./sse";
import { TimeoutError } from "./timing";

export interface SipAccount {
  uri: string;
  username: string;
  password: string;
  realm: string;
  expires_in_s: number;
  target: string;
  echo_target: string;
}

export interface Visit {
  visit: string;
  secret: string;
  sip: SipAccount;
  meeting: {
    number: string;
    name: string;
    admission: "direct" | "lobby";
    dial_in: string;
    guest_pin: string;
    /** Hosts are told theirs. */
    host_pin: string | null;
  };
  role: "host" | "guest";
}

/** What the holder of a link may know before joining. */
export interface Welcome {
  name: string;
  role: "host" | "guest";
  pin: string;
}

export type Act =
  | "mute"
  | "unmute"
  | "hand"
  | "lower"
  | "leave"
  | "admit"
  | "admit_all"
  | "mute_other"
  | "remove"
  | "lock"
  | "unlock";

/** What is wrong with one value of a body. */
export interface FieldError {
  field: string;
  message: string;
}

/** The server answered, and said no; `detail` is its sentence (RFC 9457), `errors` names the fields. */
export class ProblemError extends Error {
  override name = "ProblemError";
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(detail);
  }
}

/** No answer came. */
export class UnreachableError extends Error {
  override name = "UnreachableError";
}

const ANSWER_MS = 8_000;
/** A browser may try a connection first that was lost with the old network. */
const FIRST_EVENT_MS = 3_000;
/** The server sends at least a comment every 15 s. */
const STREAM_SILENCE_MS = 40_000;

/** Ask, and give the answer if it is a good one; throws ProblemError and UnreachableError. */
export async function ask(path: string, init: RequestInit, limit_ms = ANSWER_MS): Promise<Response> {
  const limit = AbortSignal.timeout(limit_ms);
  const signal = init.signal ? AbortSignal.any([init.signal, limit]) : limit;
  let answer: Response;
  try {
    answer = await fetch(path, { ...init, cache: "no-store", signal });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new UnreachableError(String(error));
  }
  if (answer.ok) return answer;
  const body: unknown = await answer.json().catch(() => null);
  if (typeof body !== "object" || body === null) throw new ProblemError(answer.status, "");
  const detail = "detail" in body ? String(body.detail) : "";
  const errors = "errors" in body && Array.isArray(body.errors) ? (body.errors as FieldError[]) : [];
  throw new ProblemError(answer.status, detail, errors);
}

function json(body: unknown, secret?: string): RequestInit {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (secret) headers.Authorization = `Bearer ${secret}`;
  return { method: "POST", headers, body: JSON.stringify(body) };
}

export async function welcome(number: string, token: string): Promise<Welcome> {
  return (await ask(`/m/${number}/welcome`, json({ token }))).json();
}

export async function visit(
  meeting: string,
  token: string,
  name: string,
  seat: string | null,
): Promise<Visit> {
  return (await ask("/api/v1/visits", json({ meeting, token, name, ...(seat ? { seat } : {}) }))).json();
}

export async function renew(of: Visit): Promise<void> {
  await ask(`/api/v1/visits/${of.visit}/renew`, json({}, of.secret));
}

export async function act(of: Visit, what: Act, participant?: string): Promise<void> {
  const body = participant ? { act: what, participant } : { act: what };
  await ask(`/api/v1/visits/${of.visit}/actions`, { ...json(body, of.secret), keepalive: what === "leave" });
}

/**
 * Follow a visit's events until `stop`; ends by itself when the stream ends, and throws when it breaks or falls
 * silent. `tries` in a row have brought nothing: the next one may take longer.
 */
export async function follow(
  of: Visit,
  onEvent: (event: ServerEvent) => void,
  stop: AbortSignal,
  tries: number,
): Promise<void> {
  const silence = new AbortController();
  const fallSilent = () => silence.abort(new TimeoutError("the event stream fell silent"));
  let timer = setTimeout(fallSilent, Math.min(ANSWER_MS, FIRST_EVENT_MS * 2 ** tries));
  try {
    const answer = await fetch(`/api/v1/visits/${of.visit}/events`, {
      headers: { Authorization: `Bearer ${of.secret}`, Accept: "text/event-stream" },
      cache: "no-store",
      signal: AbortSignal.any([stop, silence.signal]),
    });
    if (!answer.ok) throw new ProblemError(answer.status, "");
    if (!answer.body) return;
    const parser = new EventParser();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      clearTimeout(timer);
      timer = setTimeout(fallSilent, STREAM_SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return;
      for (const event of parser.feed(value)) onEvent(event);
    }
  } finally {
    clearTimeout(timer);
  }
}
