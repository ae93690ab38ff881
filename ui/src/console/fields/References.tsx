// Several things in an order: found by typing, moved and taken away by buttons.

import { known } from "../choices";
import { Icon } from "../Icon";
import { useLoaded } from "../loading";
import { Combo } from "./Combo";

interface Props {
  id: string;
  label: string;
  kinds: readonly string[];
  value: string[];
  onChange: (value: string[]) => void;
  invalid?: boolean;
  describedBy?: string | undefined;
}

export function References({ id, label, kinds, value, onChange, invalid, describedBy }: Props) {
  const move = (from: number, to: number) => {
    const next = [...value];
    next.splice(to, 0, ...next.splice(from, 1));
    onChange(next);
  };
  return (
    <div class="several">
      {value.length > 0 && (
        <ol aria-label={label}>
          {value.map((one, index) => (
            <li key={one}>
              <Named kinds={kinds} value={one} />
              <button
                type="button"
                class="icon-button"
                aria-label={`Move ${one} up`}
                disabled={index === 0}
                onClick={() => move(index, index - 1)}
              >
                <Icon of="up" />
              </button>
              <button
                type="button"
                class="icon-button"
                aria-label={`Move ${one} down`}
                disabled={index === value.length - 1}
                onClick={() => move(index, index + 1)}
              >
                <Icon of="down" />
              </button>
              <button
                type="button"
                class="icon-button"
                aria-label={`Take ${one} away`}
                onClick={() => onChange(value.filter((other) => other !== one))}
              >
                <Icon of="close" />
              </button>
            </li>
          ))}
        </ol>
      )}
      <Combo
        id={id}
        kinds={kinds}
        label={`Add to ${label}`}
        placeholder="Type to add"
        value=""
        except={value}
        clearAfter
        invalid={invalid ?? false}
        {...(describedBy ? { describedBy } : {})}
        onPick={(choice) => onChange([...value, choice.value])}
      />
    </div>
  );
}

function Named({ kinds, value }: { kinds: readonly string[]; value: string }) {
  const kind = kinds[0] ?? "";
  const { data } = useLoaded((signal) => known(kind, value, signal), [kind, value]);
  return (
    <span class="grow">
      {data?.label ?? value} <span class="soft">{data?.hint}</span>
    </span>
  );
}

/** One thing, or none. */
export function Reference(
  props: Omit<Props, "value" | "onChange"> & { value: string; onChange: (value: string) => void },
) {
  const { kinds, value } = props;
  const kind = kinds[0] ?? "";
  const { data } = useLoaded(
    (signal) => (value ? known(kind, value, signal) : Promise.resolve(null)),
    [kind, value],
  );
  const shown = data && data.value === value ? [data.label, data.hint].filter(Boolean).join(" · ") : value;
  return (
    <Combo
      id={props.id}
      kinds={kinds}
      label={props.label}
      value={value ? shown : ""}
      placeholder="Type to search, or leave empty"
      invalid={props.invalid ?? false}
      {...(props.describedBy ? { describedBy: props.describedBy } : {})}
      onPick={(choice) => props.onChange(choice.value)}
      onClear={() => props.onChange("")}
    />
  );
}

/** Short texts: numbers, patterns, addresses. */
export function Texts({ id, label, value, onChange, invalid, describedBy }: Omit<Props, "kinds">) {
  const add = (input: HTMLInputElement) => {
    const more = input.value.split(/[\s,;]+/).filter((one) => one && !value.includes(one));
    input.value = "";
    if (more.length) onChange([...value, ...more]);
  };
  return (
    <div class="several">
      {value.length > 0 && (
        <ul class="chips" aria-label={label}>
          {value.map((one) => (
            <li key={one}>
              {one ? <code>{one}</code> : <span class="soft">empty</span>}
              <button
                type="button"
                class="icon-button"
                aria-label={`Take ${one || "the empty one"} away`}
                onClick={() => onChange(value.filter((other) => other !== one))}
              >
                <Icon of="close" />
              </button>
            </li>
          ))}
        </ul>
      )}
      <input
        id={id}
        type="text"
        aria-label={`Add to ${label}`}
        aria-invalid={invalid}
        aria-describedby={describedBy}
        placeholder="Type, then Enter"
        onKeyDown={(event) => {
          if (event.key === "Enter" && event.currentTarget.value) {
            event.preventDefault();
            add(event.currentTarget);
          } else if (event.key === "Backspace" && !event.currentTarget.value && value.length) {
            onChange(value.slice(0, -1));
          }
        }}
        onBlur={(event) => add(event.currentTarget)}
      />
    </div>
  );
}
