// What fields and choices are called; the rest is read off their names.

const LABELS: Record<string, string> = {
  ring_s: "Ring for",
  no_answer_after_s: "No answer after",
  wrap_up_s: "Pause after a call",
  max_wait_s: "Longest wait",
  announce_every_s: "Say the place every",
  wait_s: "Wait for a key",
  max_message_s: "Longest message",
  keep_days: "Keep for",
  e164: "Send in E.164 form",
  e_mail: "E-mail",
  caller_id: "Caller ID",
  otherwise: "Otherwise",
  always: "Always to",
  busy: "When busy",
  no_answer: "When nobody answers",
  unreachable: "When unreachable",
  do_not_disturb: "Do not disturb",
  call_waiting: "Call waiting",
  forward_outside: "Forward to numbers outside",
  classes: "May call",
  dial_extensions: "Callers may dial extensions",
  leave_by: "Key to leave",
  spans: "Open",
  open: "While open",
  closed: "While closed",
  holiday: "On holidays",
  switch: "By hand",
  // biome-ignore lint/suspicious/noThenProperty: it is no promise, but a field of announcements
  then: "Then",
  from: "From",
  tell: "Tell",
  ha1: "HA1",
  approved_by: "Approved by",
  everybody: "Everybody",
  time_zone: "Time zone",
  max_calls: "Calls at once",
  dids: "Numbers",
  person_id: "Person",
  mac: "MAC address",
};

const CHOICES: Record<string, string> = {
  "": "By the clock",
  all: "All at once",
  direct: "Come straight in",
  lobby: "Wait in the lobby",
  "in-order": "In order",
  "round-robin": "Beginning with the next",
  in: "Incoming",
  out: "Outgoing",
  both: "Both",
  notice: "A notice only",
  audio: "With the message",
  "opt-in": "When somebody asks for it",
  "opt-out": "Unless somebody refuses",
  md5: "MD5",
  udp: "UDP",
  tcp: "TCP",
  tls: "TLS",
  "sha-256": "SHA-256",
};

export function label(name: string): string {
  return LABELS[name] ?? humane(name.replace(/_(s|days)$/, ""));
}

export function unit(name: string): string {
  if (name.endsWith("_s")) return "seconds";
  return name.endsWith("_days") ? "days" : "";
}

export function choice(field: string, value: string): string {
  if (field === "direction" && value === "all") return "All calls";
  return CHOICES[value] ?? humane(value);
}

export function humane(text: string): string {
  const spaced = text.replace(/[_-]+/g, " ").trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

export function count(number: number, one: string, many: string): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function when(moment: string | null | undefined): string {
  if (!moment) return "";
  const date = new Date(moment);
  const today = new Date().toDateString() === date.toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return today ? `Today ${time}` : `${date.toLocaleDateString([], { dateStyle: "medium" })} ${time}`;
}

export function lasting(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.round(seconds);
  const two = (number: number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
