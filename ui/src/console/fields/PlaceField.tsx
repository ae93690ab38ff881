// A number, or the name of somebody or something in the house: found by typing (ARIA APG, combobox).

import type { Ref } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { type Place, placeHint, places } from "../places";

interface Props {
  input?: { current: HTMLInputElement | null };
  id?: string;
  label: string;
  typed: string;
  class?: string;
  placeholder?: string;
  invalid?: boolean;
  describedBy?: string | undefined;
  /** So much has to be typed before anything is offered; 0: all is offered at once. */
  least?: number;
  onType: (typed: string) => void;
  onPick: (place: Place) => void;
}

const PAUSE_MS = 100;
const MOST = 8;

export function PlaceField({ input, label, typed, least = 2, onType, onPick, ...props }: Props) {
  const listId = useId();
  const [found, setFound] = useState<Place[]>([]);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  useEffect(() => {
    if (!open || typed.trim().length < least) {
      setFound([]);
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      const some = await places({ search: typed, limit: MOST }, stop.signal).catch(() => []);
      if (stop.signal.aborted) return;
      setFound(some);
      setAt(-1);
    }, PAUSE_MS);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [typed, open, least]);
  const shown = open && found.length > 0;
  const pick = (place: Place) => {
    setOpen(false);
    onPick(place);
  };
  return (
    <div class="combo">
      <input
        ref={(input ?? null) as Ref<HTMLInputElement> | null}
        id={props.id}
        class={props.class}
        type="text"
        role="combobox"
        aria-label={label}
        aria-expanded={shown}
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={shown && at >= 0 ? `${listId}-${at}` : undefined}
        aria-invalid={props.invalid}
        aria-describedby={props.describedBy}
        autocomplete="off"
        spellcheck={false}
        placeholder={props.placeholder ?? "Name or number"}
        value={typed}
        onFocus={(event) => least === 0 && event.currentTarget.select()}
        onClick={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onInput={(event) => {
          setOpen(true);
          onType(event.currentTarget.value);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            setOpen(true);
            const by = event.key === "ArrowDown" ? 1 : found.length - 1;
            if (found.length) setAt((Math.max(-1, at) + by) % found.length);
          } else if (event.key === "Enter") {
            // Letters cannot be dialled: they mean the first that fits.
            const place = shown ? (found[at] ?? (/[a-z]/i.test(typed) ? found[0] : undefined)) : undefined;
            if (place) {
              event.preventDefault();
              pick(place);
            }
          } else if (event.key === "Escape") {
            if (shown) {
              event.preventDefault();
              event.stopPropagation();
              setOpen(false);
            } else onType("");
          }
        }}
      />
      <div id={listId} role="listbox" aria-label="Who fits" hidden={!shown}>
        {found.map((one, index) => (
          <div
            key={`${one.target}${one.number}`}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            onPointerDown={(event) => {
              event.preventDefault();
              pick(one);
            }}
          >
            <span>{one.title}</span> <span class="soft">{placeHint(one)}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
