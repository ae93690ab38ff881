// Go anywhere by typing: pages, people, extensions. Ctrl+K opens it wherever one is.

import { useEffect, useRef, useState } from "preact/hooks";
import { choices } from "./choices";
import { Icon } from "./Icon";
import { go } from "./route";
import { sections } from "./Shell";
import { may } from "./session";

interface Found {
  title: string;
  hint: string;
  href: string;
}

const PAUSE_MS = 80;
const MOST = 6;

export function Jump() {
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, setTyped] = useState("");
  const [things, setThings] = useState<Found[]>([]);
  const [at, setAt] = useState(0);
  const open = () => {
    setTyped("");
    setThings([]);
    setAt(0);
    dialog.current?.showModal();
  };
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "k") {
        event.preventDefault();
        if (dialog.current?.open) dialog.current.close();
        else open();
      }
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  });
  useEffect(() => {
    if (!typed) {
      setThings([]);
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      const find = async (kind: string, permission: string, href: (value: string) => string) => {
        if (!may(permission)) return [];
        const some = await choices(kind, typed, stop.signal).catch(() => []);
        return some.slice(0, MOST).map(({ value, key, label, hint }) => ({
          title: label,
          hint: hint || kind,
          href: href(key ?? value),
        }));
      };
      const found = await Promise.all([
        find("person", "extensions:read", (value) => `/console/people/${value}`),
        find("extension", "extensions:read", (key) => `/console/extensions/${key}`),
        find("meeting", "meetings:read", (key) => `/console/meetings/${key}`),
      ]);
      if (!stop.signal.aborted) setThings(found.flat());
    }, PAUSE_MS);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [typed]);
  const wanted = typed.trim().toLowerCase();
  const pages = sections()
    .flatMap(({ places }) => places)
    .filter(({ title }) => title.toLowerCase().includes(wanted))
    .map(({ title, href }) => ({ title, hint: "page", href }));
  const all = [...pages.slice(0, wanted ? MOST : 30), ...things];
  const leave = (to: Found | undefined) => {
    dialog.current?.close();
    if (to) go(to.href);
  };
  return (
    <>
      <button type="button" class="jump-button" aria-keyshortcuts="Control+K" onClick={open}>
        <Icon of="search" /> <span>Go to…</span> <kbd>Ctrl K</kbd>
      </button>
      <dialog ref={dialog} class="jump" aria-label="Go to">
        <input
          type="text"
          role="combobox"
          aria-label="Go to a page, a person or an extension"
          aria-expanded="true"
          aria-controls="jump-list"
          aria-activedescendant={all[at] ? `jump-${at}` : undefined}
          placeholder="A page, a person, a number"
          autocomplete="off"
          spellcheck={false}
          value={typed}
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              event.preventDefault();
              const by = event.key === "ArrowDown" ? 1 : all.length - 1;
              setAt((at + by) % Math.max(1, all.length));
            } else if (event.key === "Enter") {
              event.preventDefault();
              leave(all[at]);
            }
          }}
        />
        <div id="jump-list" role="listbox" aria-label="What was found">
          {all.map((one, index) => (
            <div
              key={one.href}
              id={`jump-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === at}
              onPointerDown={(event) => {
                event.preventDefault();
                leave(one);
              }}
            >
              <span>{one.title}</span> <span class="soft">{one.hint}</span>
            </div>
          ))}
          {!all.length && (
            <div class="soft" role="option" tabIndex={-1} aria-selected={false} aria-disabled>
              Nothing found
            </div>
          )}
        </div>
      </dialog>
    </>
  );
}
