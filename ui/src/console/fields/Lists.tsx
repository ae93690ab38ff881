// Holidays of a time condition, and the keys of a menu.

import { Icon } from "../Icon";
import { TargetField } from "./Target";

export interface Holiday {
  date: string;
  title?: string;
  from?: string;
  to?: string;
}

interface HolidaysProps {
  label: string;
  value: Holiday[];
  onChange: (value: Holiday[]) => void;
}

export function Holidays({ label, value, onChange }: HolidaysProps) {
  const change = (index: number, next: Partial<Holiday>) =>
    onChange(value.map((one, at) => (at === index ? { ...one, ...next } : one)));
  return (
    <div class="several">
      <ul class="lines" aria-label={label}>
        {value.map((one, index) => (
          <li key={index}>
            <input
              type="text"
              class="date"
              aria-label={`Date ${index + 1}`}
              placeholder="12-25"
              value={one.date}
              onInput={(event) => change(index, { date: event.currentTarget.value.trim() })}
            />
            <input
              type="text"
              class="grow"
              aria-label={`Name ${index + 1}`}
              placeholder="What day it is"
              value={one.title ?? ""}
              onInput={(event) => change(index, { title: event.currentTarget.value })}
            />
            <button
              type="button"
              class="icon-button"
              aria-label={`Take ${one.date || "this day"} away`}
              onClick={() => onChange(value.filter((_, at) => at !== index))}
            >
              <Icon of="close" />
            </button>
          </li>
        ))}
      </ul>
      <button type="button" class="quiet small" onClick={() => onChange([...value, { date: "", title: "" }])}>
        <Icon of="plus" /> Add a holiday
      </button>
    </div>
  );
}

const KEYS = [..."1234567890*#"];

interface KeysProps {
  id: string;
  label: string;
  value: Record<string, string>;
  onChange: (value: Record<string, string>) => void;
}

/** Where each key leads, and those that lead nowhere yet as buttons. */
export function MenuKeys({ id, label, value, onChange }: KeysProps) {
  const set = (key: string, target: string) => onChange({ ...value, [key]: target });
  return (
    <div class="several">
      <ul class="lines" aria-label={label}>
        {KEYS.filter((key) => key in value).map((key) => (
          <li key={key}>
            <kbd class="big-key">{key}</kbd>
            <div class="grow">
              <TargetField
                id={`${id}-${key}`}
                label={`Key ${key}`}
                none="Choose where it leads"
                value={value[key] ?? ""}
                onChange={(target) => set(key, target)}
              />
            </div>
            <button
              type="button"
              class="icon-button"
              aria-label={`Take key ${key} away`}
              onClick={() =>
                onChange(Object.fromEntries(Object.entries(value).filter(([one]) => one !== key)))
              }
            >
              <Icon of="close" />
            </button>
          </li>
        ))}
      </ul>
      <fieldset class="free-keys">
        <legend class="soft">Add a key</legend>
        {KEYS.filter((key) => !(key in value)).map((key, index) => (
          <button
            key={key}
            id={index === 0 ? id : undefined}
            type="button"
            class="quiet small key-button"
            aria-label={`Add key ${key}`}
            onClick={() => set(key, "")}
          >
            {key}
          </button>
        ))}
      </fieldset>
    </div>
  );
}
