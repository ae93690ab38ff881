// A long list that is searched on the server as somebody types, and loaded page by page as it is scrolled.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "./Icon";
import { count } from "./labels";
import { go } from "./route";
import { list, type Page, words } from "./server";
import { isTyping } from "./typing";

export interface Column<T> {
  title: string;
  show: (one: T) => ComponentChildren;
  /** Left out where there is little room. */
  minor?: boolean;
}

interface Props<T extends object> {
  title: string;
  /** "person" and "people", for what is counted. */
  nouns: readonly [string, string];
  path: string;
  /** What the server leaves out. */
  filter?: Record<string, string>;
  columns: readonly Column<T>[];
  keyOf: (one: T) => string;
  /** Where a row leads. */
  linkOf?: (one: T) => string;
  newLink?: string | undefined;
  newWord?: string;
  /** Changes when the list is to be loaded anew. */
  turn?: number;
  selected?: string | undefined;
  empty: ComponentChildren;
  intro?: string;
  more?: ComponentChildren;
  /** Between the heading and the list. */
  below?: ComponentChildren;
}

const PAUSE_MS = 70;
const AT_ONCE = 60;
const NOTHING = {};

export function List<T extends object>(props: Props<T>) {
  const { title, nouns, path, columns, keyOf, linkOf, newLink, turn = 0, selected } = props;
  const filter = props.filter ?? NOTHING;
  const filtered = JSON.stringify(filter);
  const [search, setSearch] = useState("");
  const [page, setPage] = useState<Page<T> | null>(null);
  const [trouble, setTrouble] = useState("");
  const field = useRef<HTMLInputElement>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  const end = useRef<HTMLDivElement>(null);
  const loading = useRef(false);

  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(
      async () => {
        try {
          const found = await list<T>(path, search, null, stop.signal, AT_ONCE, filter);
          if (stop.signal.aborted) return;
          setPage(found);
          setTrouble("");
        } catch (error) {
          if (!stop.signal.aborted) setTrouble(words(error));
        }
      },
      search ? PAUSE_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [path, filtered, search, turn]);

  useEffect(() => {
    const mark = end.current;
    if (!mark || !page?.next) return;
    const watcher = new IntersectionObserver(
      async ([seen]) => {
        if (!seen?.isIntersecting || loading.current) return;
        loading.current = true;
        try {
          const further = await list<T>(path, search, page.next, undefined, AT_ONCE, filter);
          setPage({ ...further, items: [...page.items, ...further.items] });
        } catch (error) {
          setTrouble(words(error));
        } finally {
          loading.current = false;
        }
      },
      { rootMargin: "400px" },
    );
    watcher.observe(mark);
    return () => watcher.disconnect();
  }, [page, path, filtered, search]);

  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (event.key === "/") {
        event.preventDefault();
        field.current?.focus();
        field.current?.select();
      } else if (event.key === "n" && newLink) {
        event.preventDefault();
        go(newLink);
      }
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [newLink]);

  const move = (event: KeyboardEvent, by: number) => {
    const links = [...(body.current?.querySelectorAll<HTMLElement>("a.row-link") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLElement);
    event.preventDefault();
    if (at + by < 0) field.current?.focus();
    else links[Math.min(links.length - 1, at + by)]?.focus();
  };
  const items = page?.items ?? [];
  return (
    <section class="list" aria-labelledby="list-title">
      <header class="list-head">
        <h1 id="list-title">{title}</h1>
        <span class="soft" role="status">
          {page ? count(page.total, nouns[0], nouns[1]) : ""}
        </span>
        <span class="spread" />
        {props.more}
        {newLink && (
          <a class="button" href={newLink}>
            <Icon of="plus" /> {props.newWord ?? "Add"}
          </a>
        )}
      </header>
      {props.below}
      {props.intro && <p class="soft intro">{props.intro}</p>}
      <div class="search">
        <Icon of="search" />
        <input
          aria-label={`Search ${nouns[1]}`}
          ref={field}
          type="search"
          placeholder={`Search ${nouns[1]}`}
          value={search}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setSearch(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") move(event, 1);
            else if (event.key === "Escape" && search) {
              event.stopPropagation();
              setSearch("");
            } else if (event.key === "Enter" && items.length === 1 && items[0] && linkOf)
              go(linkOf(items[0]));
          }}
        />
        <kbd>/</kbd>
      </div>
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {page && !items.length && !trouble && (
        <div class="empty">{search ? <p>Nothing fits “{search}”.</p> : props.empty}</div>
      )}
      {items.length > 0 && (
        <table class="rows">
          <thead>
            <tr>
              {columns.map(({ title: name, minor }) => (
                <th key={name} scope="col" class={minor ? "minor" : ""}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody
            ref={body}
            onKeyDown={(event) => {
              if (event.key === "ArrowDown" || event.key === "j") move(event, 1);
              if (event.key === "ArrowUp" || event.key === "k") move(event, -1);
            }}
          >
            {items.map((one) => {
              const key = keyOf(one);
              return (
                <tr key={key} class={selected === key ? "selected" : ""}>
                  {columns.map(({ title: name, show, minor }, index) => (
                    <td key={name} class={minor ? "minor" : ""}>
                      {index === 0 && linkOf ? (
                        <a
                          class="row-link"
                          href={linkOf(one)}
                          aria-current={selected === key ? "true" : undefined}
                        >
                          {show(one)}
                        </a>
                      ) : (
                        show(one)
                      )}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      <div ref={end} />
    </section>
  );
}
