// Where a call goes: a kind, then what of that kind.

import { useState } from "preact/hooks";
import { known, TARGET_KINDS, TARGET_WORDS, type TargetKind } from "../choices";
import { useLoaded } from "../loading";
import { Combo } from "./Combo";

interface Props {
  id: string;
  label: string;
  value: string;
  onChange: (value: string) => void;
  invalid?: boolean;
  describedBy?: string | undefined;
  /** What nothing chosen means. */
  none?: string;
}

export function TargetField({ id, label, value, onChange, invalid, describedBy, none = "Nowhere" }: Props) {
  const [kind = "", rest = ""] = split(value);
  // A kind without a name yet is no value: it lives here until the name is chosen.
  const [begun, setBegun] = useState("");
  const shown = begun || kind;
  const searchable = shown && !["outside", "busy", "hangup"].includes(shown);
  const name = useLoaded(
    (signal) => (searchable && rest && !begun ? known(shown, rest, signal) : Promise.resolve(null)),
    [shown, rest],
  ).data;
  const pickKind = (next: string) => {
    setBegun("");
    if (next === "" || next === "busy" || next === "hangup") onChange(next);
    else {
      setBegun(next);
      onChange("");
    }
  };
  const told = { ...(describedBy ? { describedBy } : {}), invalid: invalid ?? false };
  return (
    <div class="target">
      <select
        id={id}
        aria-label={`${label}: kind`}
        aria-invalid={invalid}
        aria-describedby={describedBy}
        value={shown}
        onChange={(event) => pickKind(event.currentTarget.value)}
      >
        <option value="">{none}</option>
        {TARGET_KINDS.map((one) => (
          <option key={one} value={one}>
            {TARGET_WORDS[one]}
          </option>
        ))}
      </select>
      {searchable && (
        <Combo
          key={shown}
          kinds={[shown]}
          label={`${label}: ${TARGET_WORDS[shown as TargetKind]}`}
          value={
            begun
              ? ""
              : name && name.value === rest
                ? [name.label, name.hint].filter(Boolean).join(" · ")
                : rest
          }
          onPick={(choice) => {
            setBegun("");
            onChange(`${shown}:${choice.value}`);
          }}
          {...told}
        />
      )}
      {shown === "outside" && (
        <input
          type="tel"
          aria-label={`${label}: number outside`}
          aria-invalid={invalid}
          aria-describedby={describedBy}
          placeholder="+14155550100"
          value={begun ? "" : rest}
          onInput={(event) => {
            const number = event.currentTarget.value.replace(/\s/g, "");
            if (number) setBegun("");
            onChange(number ? `outside:${number}` : "");
            if (!number) setBegun("outside");
          }}
        />
      )}
    </div>
  );
}

function split(value: string): [string, string] {
  const colon = value.indexOf(":");
  return colon < 0 ? [value, ""] : [value.slice(0, colon), value.slice(colon + 1)];
}

/** A target in words. */
export function targetWords(value: string): string {
  const [kind, name] = split(value);
  const words = TARGET_WORDS[kind as TargetKind] ?? kind;
  return name ? `${words} ${name}` : words;
}
