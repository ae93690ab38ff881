// What becomes of calls to one's own extension: do not disturb, and where they go on.

import { useState } from "preact/hooks";
import { ProblemError } from "../../api";
import { PlaceField } from "../fields/PlaceField";
import { targetWords } from "../fields/Target";
import { useLoaded } from "../loading";
import { places } from "../places";
import { byField, get, put, words } from "../server";
import { say } from "../toasts";

interface Answering {
  always: string;
  busy: string;
  no_answer: string;
  unreachable: string;
  no_answer_after_s: number;
  do_not_disturb: boolean;
  call_waiting: boolean;
}

const PLAIN: Answering = {
  always: "",
  busy: "",
  no_answer: "",
  unreachable: "",
  no_answer_after_s: 20,
  do_not_disturb: false,
  call_waiting: true,
};
const WAYS = ["always", "busy", "no_answer", "unreachable"] as const;
const TITLES: Record<(typeof WAYS)[number], string> = {
  always: "Always",
  busy: "When busy",
  no_answer: "When nobody answers",
  unreachable: "When no phone is there",
};

/** `id` stands for the extension in addresses. */
export function OwnAnswering({ extension, id }: { extension: string; id: string }) {
  const path = `/plan/answering/${id}`;
  const { data, trouble, again } = useLoaded(
    async (signal) => {
      try {
        const found = await get<{ value: Answering & { name: string }; revision: number }>(path, signal);
        const { name: _, ...value } = found.value;
        return { value: { ...PLAIN, ...value }, revision: found.revision };
      } catch (error) {
        if (error instanceof ProblemError && error.status === 404) return { value: PLAIN, revision: 0 };
        throw error;
      }
    },
    [path],
  );
  const [errors, setErrors] = useState<Record<string, string>>({});
  if (!data) return trouble ? <p role="alert">{trouble}</p> : null;
  const change = async (next: Partial<Answering>, said: string) => {
    try {
      await put(path, { ...data.value, ...next }, data.revision);
      setErrors({});
      say(said);
    } catch (error) {
      const found = byField(error, Object.keys(next));
      setErrors(found);
      if (found[""]) say(words(error), { wrong: true });
    }
    again();
  };
  const { value } = data;
  return (
    <section class="part answering" aria-labelledby="answering">
      <h2 id="answering">Your calls go</h2>
      <label class="switch-line">
        <input
          type="checkbox"
          checked={value.do_not_disturb}
          onChange={(event) => {
            const on = event.currentTarget.checked;
            change({ do_not_disturb: on }, on ? "You are not disturbed" : "You can be called");
          }}
        />
        <span>Do not disturb</span>
      </label>
      {WAYS.map((way) => (
        <Way
          key={`${way}${value[way]}`}
          way={way}
          mailbox={`mailbox:${extension}`}
          value={value[way]}
          error={errors[way] ?? ""}
          onChange={(target) =>
            change(
              { [way]: target },
              target ? `${TITLES[way]}: ${targetWords(target)}` : `${TITLES[way]}: as usual`,
            )
          }
        />
      ))}
    </section>
  );
}

interface WayProps {
  way: (typeof WAYS)[number];
  mailbox: string;
  value: string;
  error: string;
  onChange: (target: string) => void;
}

/** As usual, the mailbox, or a place: somebody or something with a name in the house, or a number outside. */
function Way({ way, mailbox, value, error, onChange }: WayProps) {
  const [kind, setKind] = useState(value === "" ? "" : value === mailbox ? "mailbox" : "place");
  const outside = /^outside:(.+)$/.exec(value)?.[1];
  const { data } = useLoaded(
    async (signal) => {
      if (kind !== "place" || !value || outside) return null;
      return (await places({ target: value }, signal).catch(() => []))[0] ?? null;
    },
    [kind, value],
  );
  const [changed, setChanged] = useState<string | null>(null);
  const shown = outside ?? (data ? `${data.title} · ${data.number}` : value && targetWords(value));
  const typed = changed ?? (kind === "place" && value !== mailbox ? shown : "");
  const id = `way-${way}`;
  const begun = kind === "place" && (changed !== null || !value || value === mailbox);
  return (
    <form
      class="way"
      onSubmit={async (event) => {
        event.preventDefault();
        const number = typed.replace(/[\s()./-]/g, "");
        if (!number || changed === null) return;
        // What has that number in the house is meant, whatever it is.
        const found = await places({ search: number }).catch(() => []);
        const place = found.find((one) => one.number === number);
        onChange(
          place?.target ?? (/^[1-9][0-9]{1,5}$/.test(number) ? `extension:${number}` : `outside:${number}`),
        );
      }}
    >
      <label for={id}>{TITLES[way]}</label>
      <select
        id={id}
        value={kind}
        aria-describedby={error ? `${id}-error` : undefined}
        onChange={(event) => {
          const next = event.currentTarget.value;
          setKind(next);
          setChanged(null);
          if (next === "") onChange("");
          if (next === "mailbox") onChange(mailbox);
        }}
      >
        <option value="">As usual</option>
        <option value="mailbox">To my mailbox</option>
        <option value="place">To a name or number</option>
      </select>
      {kind === "place" && (
        <>
          <PlaceField
            label={`${TITLES[way]}: name or number`}
            typed={typed}
            least={0}
            placeholder="Sales, Ada, +14155550100"
            invalid={error !== ""}
            describedBy={error ? `${id}-error` : undefined}
            onType={setChanged}
            onPick={(place) => {
              setChanged(`${place.title} · ${place.number}`);
              onChange(place.target);
            }}
          />
          {begun && (
            <button type="submit" class="quiet">
              Set
            </button>
          )}
        </>
      )}
      {error && (
        <p id={`${id}-error`} role="alert" class="wrong">
          {error}
        </p>
      )}
    </form>
  );
}
