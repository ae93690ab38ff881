// How good a line is, in a word, and in a sentence when it is not good.

export interface Direction {
  lost_percent: number | null;
  jitter_ms: number | null;
}

export interface Quality {
  /** What the server hears of the participant. */
  received: Direction;
  /** What the participant reports to hear of the server. */
  sent: Direction;
  round_trip_ms: number | null;
}

export type Grade = "unknown" | "good" | "fair" | "poor";

/** From which value on a line is fair, and poor. Concealment covers single losses; a second's echo starts at 300 ms. */
const LIMITS = {
  lost_percent: { fair: 1, poor: 5 },
  jitter_ms: { fair: 30, poor: 60 },
  round_trip_ms: { fair: 300, poor: 500 },
} as const;

type Measure = keyof typeof LIMITS;
const ORDER: readonly Grade[] = ["unknown", "good", "fair", "poor"];

function gradeOf(measure: Measure, value: number | null): Grade {
  if (value === null) return "unknown";
  const limit = LIMITS[measure];
  return value >= limit.poor ? "poor" : value >= limit.fair ? "fair" : "good";
}

function worst(grades: Grade[]): Grade {
  return grades.reduce((a, b) => (ORDER.indexOf(b) > ORDER.indexOf(a) ? b : a), "unknown");
}

/** The worst of all that is known; "unknown" if nothing is. */
export function grade(quality: Quality): Grade {
  return worst([
    gradeOf("lost_percent", quality.received.lost_percent),
    gradeOf("jitter_ms", quality.received.jitter_ms),
    gradeOf("lost_percent", quality.sent.lost_percent),
    gradeOf("jitter_ms", quality.sent.jitter_ms),
    gradeOf("round_trip_ms", quality.round_trip_ms),
  ]);
}

export const GRADE_WORDS: Record<Grade, string> = {
  unknown: "not measured yet",
  good: "good",
  fair: "fair",
  poor: "poor",
};

/** What is wrong with the line of `who` ("you" or a name), as sentences; empty when all is well. */
export function complaints(quality: Quality, who: string): string[] {
  const you = who === "you";
  const said: string[] = [];
  const { received, sent, round_trip_ms } = quality;
  const outgoing = you ? "Others hear you" : `We hear ${who}`;
  const incoming = you ? "You hear the others" : `${who} hears the others`;
  for (const [subject, direction] of [
    [outgoing, received],
    [incoming, sent],
  ] as const) {
    const lost = gradeOf("lost_percent", direction.lost_percent);
    if (lost === "poor") said.push(`${subject} with gaps: much of the sound is lost on the way.`);
    else if (lost === "fair") said.push(`${subject} with short gaps now and then.`);
    const jitter = gradeOf("jitter_ms", direction.jitter_ms);
    if (jitter === "poor") said.push(`${subject} unevenly: the sound arrives in bursts.`);
    else if (jitter === "fair") said.push(`${subject} with more delay: the sound arrives unevenly.`);
  }
  const delay = gradeOf("round_trip_ms", round_trip_ms);
  const owner = you ? "Your" : `${who}'s`;
  if (delay === "poor") said.push(`${owner} line is slow: people will talk over each other.`);
  else if (delay === "fair") said.push(`${owner} line has a noticeable delay.`);
  if (you && said.length) said.push("A cable instead of Wi-Fi, or calling by phone, often helps.");
  return said;
}

/** A number with its unit for the table of figures. */
export function figure(value: number | null, unit: "%" | "ms"): string {
  if (value === null) return "–";
  return unit === "%" ? `${value.toFixed(1)} %` : `${Math.round(value)} ms`;
}
