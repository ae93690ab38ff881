// A list, and beside it what is chosen of it: the same for people, extensions, devices and trunks.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { removeWithUndo, sayWithUndo } from "./deleting";
import { Form } from "./Form";
import { type Column, List } from "./List";
import { type Loaded, useLoaded } from "./loading";
import { Panel } from "./Panel";
import { go } from "./route";
import type { Field, Value } from "./schema";
import { get, patch } from "./server";
import { may } from "./session";

/** What there is a list of. */
export interface Sort<T extends object> {
  /** What the history calls one of them. */
  kind: string;
  title: string;
  /** "person" and "people", for what is counted. */
  nouns: readonly [string, string];
  /** In the API, and below /console. */
  path: string;
  /** The permission to change them. */
  writes: string;
  /** What it is called in addresses, which hold no number of anybody. */
  keyOf: (one: T) => string;
  /** What the history calls it, where that is something else. */
  historyOf?: (one: T) => string;
  nameOf: (one: T) => string;
  columns: readonly Column<T>[];
  fields: readonly Field[];
  intro?: string;
  newWord?: string;
  empty: ComponentChildren;
}

interface ListProps<T extends object> {
  sort: Sort<T>;
  /** What is chosen: the key of one, or "new". */
  chosen: string | undefined;
  /** What the list leaves out, as the API is asked. */
  filter?: Record<string, string>;
  /** Changes when the list is to be loaded anew. */
  turn?: number;
  /** Beside the heading. */
  more?: ComponentChildren;
  /** Between the heading and the list. */
  below?: ComponentChildren;
  fresh: (onDone: () => void) => ComponentChildren;
  one: (key: string, onDone: () => void) => ComponentChildren;
}

export function Records<T extends object>(props: ListProps<T>) {
  const { sort, chosen, filter, more, below, fresh, one } = props;
  const [turn, setTurn] = useState(0);
  const again = () => setTurn((before) => before + 1);
  const base = `/console${sort.path}`;
  return (
    <div class={`with-panel ${chosen ? "open" : ""}`}>
      <List<T>
        {...sort}
        {...(filter ? { filter } : {})}
        turn={turn + (props.turn ?? 0)}
        selected={chosen}
        linkOf={(each) => `${base}/${encodeURIComponent(sort.keyOf(each))}`}
        newLink={may(sort.writes) ? `${base}/new` : undefined}
        more={more}
        below={below}
      />
      {chosen === "new" ? fresh(again) : chosen && one(chosen, again)}
    </div>
  );
}

interface OneProps<T extends object> {
  sort: Sort<T>;
  /** The key of the one that is shown. */
  id: string;
  onDone: () => void;
  title?: (one: T) => string;
  subtitle?: (one: T) => ComponentChildren;
  /** What is asked before it is deleted, where not all of it comes back. */
  warning?: (one: T) => string;
  /** The form as it is filled in, where that is not what the server says. */
  toForm?: (one: T) => Value;
  /** What is sent of what was changed. */
  toServer?: (changed: Value) => Value;
  above?: (one: T, again: () => void) => ComponentChildren;
  below?: (one: T, again: () => void) => ComponentChildren;
}

export function OneRecord<T extends object>({ sort, id, onDone, ...props }: OneProps<T>) {
  const path = `${sort.path}/${encodeURIComponent(id)}`;
  const back = `/console${sort.path}`;
  const loaded: Loaded<T> = useLoaded((signal) => get<T>(path, signal), [path]);
  const one = loaded.data;
  if (!one) return <Panel title={loaded.trouble || " "} back={back} children={null} />;
  const writable = may(sort.writes);
  const name = sort.nameOf(one);
  const shown = props.toForm?.(one) ?? (one as Value);
  const value: Value = Object.fromEntries(sort.fields.map((field) => [field.name, shown[field.name] ?? ""]));
  const again = () => {
    loaded.again();
    onDone();
  };
  const deleted = async () => {
    const warning = props.warning?.(one);
    if (warning && !confirm(warning)) return;
    if (!(await removeWithUndo(path, name, sort.kind, called(sort, one), onDone))) return;
    go(back);
    onDone();
  };
  return (
    <Panel title={props.title?.(one) ?? name} back={back} subtitle={props.subtitle?.(one)}>
      {props.above?.(one, again)}
      <Form
        key={JSON.stringify(value)}
        fields={sort.fields}
        value={value}
        readOnly={!writable}
        onCancel={() => go(back)}
        onSave={async (next) => {
          const changed = Object.fromEntries(
            Object.entries(next).filter(
              ([field, each]) => JSON.stringify(each) !== JSON.stringify(value[field]),
            ),
          );
          const saved = await patch<T>(path, props.toServer?.(changed) ?? changed);
          again();
          const title = sort.nameOf(saved);
          await sayWithUndo(
            `${title} is saved`,
            `${title} is as it was`,
            sort.kind,
            called(sort, saved),
            again,
          );
        }}
        more={
          writable && (
            <button type="button" class="quiet wrong" onClick={deleted}>
              Delete
            </button>
          )
        }
      />
      {props.below?.(one, again)}
      {may("plan:read") && (
        <p class="soft">
          <a href={`/console/history/${sort.kind}/${encodeURIComponent(sort.keyOf(one))}`}>History</a>
        </p>
      )}
    </Panel>
  );
}

function called<T extends object>(sort: Sort<T>, one: T): string {
  return (sort.historyOf ?? sort.keyOf)(one);
}
