// The API as the console uses it: the session's cookie goes along, and a refusal says which field is wrong.

import { ask, type FieldError, ProblemError, UnreachableError } from "../api";

const SLOW_MS = 30_000;

/** What is done when the session turns out to be over. */
let onLoggedOut = () => {};

export function whenLoggedOut(then: () => void): void {
  onLoggedOut = then;
}

export interface Asked {
  body?: unknown;
  signal?: AbortSignal;
  /** The revision that is changed: somebody else's change in between is a conflict. */
  revision?: number | string | undefined;
  /** Why it is done, which is written down with it. */
  reason?: string;
}

async function send(
  method: string,
  path: string,
  { body, signal, revision, reason }: Asked,
): Promise<Response> {
  const headers: Record<string, string> = { "X-Ringback": "1", Accept: "application/json" };
  const init: RequestInit = { method, headers };
  if (body instanceof Blob) {
    init.body = body;
    headers["Content-Type"] = body.type;
  } else if (body !== undefined) {
    init.body = JSON.stringify(body);
    headers["Content-Type"] = "application/json";
  }
  if (reason) headers["X-Reason"] = encodeURIComponent(reason);
  if (revision !== undefined) headers["If-Match"] = String(revision);
  if (signal) init.signal = signal;
  try {
    return await ask(`/api/v1${path}`, init, SLOW_MS);
  } catch (error) {
    if (error instanceof ProblemError && error.status === 401 && path !== "/session") onLoggedOut();
    throw error;
  }
}

async function json<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const answer = await send(method, path, asked);
  return (answer.status === 204 ? null : await answer.json()) as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => json<T>("GET", path, signal ? { signal } : {});
export const post = <T>(path: string, body: unknown = {}, signal?: AbortSignal) =>
  json<T>("POST", path, signal ? { body, signal } : { body });
export const put = <T>(path: string, body: unknown, revision?: number | string) =>
  json<T>("PUT", path, { body, revision });
export const patch = <T>(path: string, body: unknown) => json<T>("PATCH", path, { body });
export const remove = <T>(path: string, reason = "") => json<T>("DELETE", path, { reason });

export interface Page<T> {
  items: T[];
  total: number;
  next: string | null;
}

/** Lists that are short: they come whole and are searched here. */
const WHOLE: ReadonlySet<string> = new Set(["/meetings", "/trunks"]);

/** A page of a list, which is searched on the server by what is in no URL. */
export async function list<T extends object>(
  path: string,
  search: string,
  after: string | null,
  signal?: AbortSignal,
  limit = 60,
  filter: Record<string, string> = {},
): Promise<Page<T>> {
  if (!WHOLE.has(path)) {
    const body = { ...filter, search, after: after ?? "", limit };
    return post<Page<T>>(`${path}/search`, body, signal);
  }
  const answer = await get<T[]>(path, signal);
  const wanted = search.trim().toLowerCase();
  const found = wanted ? answer.filter((one) => shown(one).includes(wanted)) : answer;
  return { items: found, total: found.length, next: null };
}

function shown(one: object): string {
  return Object.values(one)
    .filter((value) => typeof value === "string" || typeof value === "number")
    .join(" ")
    .toLowerCase();
}

/** One sentence for a person. */
export function words(error: unknown): string {
  if (error instanceof ProblemError) {
    if (error.detail) return sentence(error.detail);
    return error.status === 403 ? "You may not do this." : `The server answered ${error.status}.`;
  }
  if (error instanceof UnreachableError)
    return "The server does not answer. Check the network, then try again.";
  return "Something went wrong here. Load the page again.";
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** What is wrong by field; "" has what concerns none of `fields`. */
export function byField(error: unknown, fields: readonly string[]): Record<string, string> {
  if (!(error instanceof ProblemError) || ![409, 422].includes(error.status)) return { "": words(error) };
  const errors: readonly FieldError[] = error.errors.length ? error.errors : fieldsIn(error.detail);
  const found: Record<string, string> = {};
  for (const { field, message } of errors) {
    // members[2] and spans.0.to are shown at the field they lie in.
    const top = /^[A-Za-z0-9_]+/.exec(field)?.[0] ?? "";
    const place = fields.includes(top) ? top : "";
    const text = sentence(place || !field ? message : `${field}: ${message}`);
    found[place] = found[place] ? `${found[place]} ${text}` : text;
  }
  return Object.keys(found).length ? found : { "": words(error) };
}

/** "name: is missing; ring_s: must be …", as the API says it in one sentence. */
function fieldsIn(detail: string): FieldError[] {
  return detail.split("; ").map((part) => {
    const match = /^([a-z_][a-z0-9_.]*): (.+)$/s.exec(part);
    return match ? { field: match[1] ?? "", message: match[2] ?? "" } : { field: "", message: part };
  });
}
