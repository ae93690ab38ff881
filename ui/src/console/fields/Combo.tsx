// A text field with a list of what fits (ARIA APG, combobox with list autocomplete).

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type Choice, choices } from "../choices";

interface Props {
  kinds: readonly string[];
  /** Shown while nothing is typed. */
  value: string;
  label: string;
  placeholder?: string;
  invalid?: boolean;
  describedBy?: string;
  id?: string;
  /** What is chosen already, and not offered again. */
  except?: readonly string[];
  onPick: (choice: Choice, kind: string) => void;
  /** The field was emptied. */
  onClear?: () => void;
  clearAfter?: boolean;
}

type Found = Choice & { kind: string };
const PAUSE_MS = 80;

export function Combo(props: Props) {
  const { kinds, value, except = [] } = props;
  const ownId = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const [found, setFound] = useState<Found[]>([]);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const kindsKey = kinds.join();
  const exceptKey = except.join();
  useEffect(() => {
    if (!open) return;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      const lists = kinds.map(async (kind) => {
        const some = await choices(kind, typed ?? "", stop.signal).catch(() => []);
        return some.map((one) => ({ ...one, kind }));
      });
      const all = (await Promise.all(lists)).flat().filter((one) => !except.includes(one.value));
      if (stop.signal.aborted) return;
      setFound(all);
      setAt(0);
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [open, typed, kindsKey, exceptKey]);

  const close = () => {
    setOpen(false);
    setTyped(null);
  };
  const pick = (choice: Found) => {
    close();
    props.onPick(choice, choice.kind);
    if (props.clearAfter && input.current) input.current.value = "";
  };
  const keys = (event: KeyboardEvent) => {
    const choice = found[at];
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) setOpen(true);
      else setAt((at + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(1, found.length));
    } else if (event.key === "Enter" && open) {
      event.preventDefault();
      if (choice) pick(choice);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Tab" && open && typed && choice) pick(choice);
  };
  const listId = `${ownId}-list`;
  return (
    <div class="combo">
      <input
        ref={input}
        id={props.id ?? ownId}
        type="text"
        role="combobox"
        autocomplete="off"
        spellcheck={false}
        aria-label={props.label}
        aria-expanded={open}
        aria-controls={listId}
        aria-autocomplete="list"
        aria-activedescendant={open && found[at] ? `${ownId}-${at}` : undefined}
        aria-invalid={props.invalid}
        aria-describedby={props.describedBy}
        placeholder={props.placeholder ?? "Type to search"}
        value={typed ?? value}
        onFocus={(event) => event.currentTarget.select()}
        onClick={() => setOpen(true)}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          setOpen(true);
          if (!event.currentTarget.value) props.onClear?.();
        }}
        onKeyDown={keys}
        onBlur={close}
      />
      <div id={listId} role="listbox" aria-label="What fits" hidden={!open}>
        {found.map((one, index) => (
          <div
            key={`${one.kind}:${one.value}`}
            id={`${ownId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            onPointerDown={(event) => {
              event.preventDefault();
              pick(one);
            }}
          >
            <span>{one.label}</span> <span class="soft">{one.hint}</span>
          </div>
        ))}
        {open && !found.length && (
          <div class="soft nothing" role="option" tabIndex={-1} aria-selected={false} aria-disabled>
            Nothing found
          </div>
        )}
      </div>
    </div>
  );
}
