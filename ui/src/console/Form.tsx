// A form made from a schema: each field with its label, what it means, and what is wrong with it.

import { useEffect, useRef, useState } from "preact/hooks";
import { type Holiday, Holidays, MenuKeys } from "./fields/Lists";
import { Reference, References, Texts } from "./fields/References";
import { TargetField } from "./fields/Target";
import { WeekField } from "./fields/Week";
import { choice, humane, label as labelOf, unit } from "./labels";
import { guard } from "./route";
import { complaint, type Field, type Value } from "./schema";
import { byField } from "./server";
import { say } from "./toasts";
import type { Span } from "./week";

export type Errors = Record<string, string>;

interface FormProps {
  fields: readonly Field[];
  value: Value;
  /** Keeps the value; throws what the server says. */
  onSave: (value: Value) => Promise<void>;
  onCancel: () => void;
  saveWord?: string;
  readOnly?: boolean;
  /** What else can be done, beside Save. */
  more?: preact.ComponentChildren;
  /** Called with each change; what it gives back changes, too. */
  follow?: (value: Value, changed: string) => Value;
}

export function Form({
  fields,
  value: given,
  onSave,
  onCancel,
  saveWord,
  readOnly,
  more,
  follow,
}: FormProps) {
  const [value, setValue] = useState(given);
  const [errors, setErrors] = useState<Errors>({});
  const [saving, setSaving] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  /** It is being saved: whoever goes elsewhere then loses nothing. */
  const leaving = useRef(false);
  const dirty = JSON.stringify(value) !== JSON.stringify(given);
  const names = fields.map((field) => field.name);

  useEffect(() => {
    if (!dirty || readOnly) return;
    return guard(() => leaving.current || confirm("Leave without saving what you changed?"));
  }, [dirty, readOnly]);

  const change = (name: string, next: unknown) => {
    const changed = { ...value, [name]: next };
    setValue(follow ? follow(changed, name) : changed);
    if (errors[name]) setErrors(({ [name]: _, ...rest }) => rest);
  };
  const look = (field: Field) => {
    const text = complaint(field, value[field.name]);
    if (text !== (errors[field.name] ?? "")) setErrors({ ...errors, [field.name]: text });
  };
  const save = async () => {
    if (saving || readOnly) return;
    const local = Object.fromEntries(
      fields
        .map((field) => [field.name, complaint(field, value[field.name])] as const)
        .filter(([, text]) => text),
    );
    if (Object.keys(local).length) {
      setErrors(local);
      focusFirst(local);
      return;
    }
    setSaving(true);
    leaving.current = true;
    try {
      await onSave(value);
      setErrors({});
    } catch (error) {
      const found = byField(error, names);
      setErrors(found);
      focusFirst(found);
      if (found[""]) say(found[""], { wrong: true });
    } finally {
      leaving.current = false;
      setSaving(false);
    }
  };
  const focusFirst = (wrong: Errors) => {
    const first = names.find((name) => wrong[name]);
    if (first)
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>(`#field-${first}`)?.focus());
  };
  return (
    <form
      ref={form}
      class="form"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
      onKeyDown={(event) => {
        if ((event.ctrlKey || event.metaKey) && event.key === "s") {
          event.preventDefault();
          save();
        }
      }}
    >
      {fields.map((field) => (
        <FieldRow
          key={field.name}
          field={field}
          value={value[field.name]}
          error={errors[field.name] ?? ""}
          readOnly={readOnly ?? false}
          onChange={(next) => change(field.name, next)}
          onLeave={() => look(field)}
        />
      ))}
      {errors[""] && (
        <p role="alert" class="wrong">
          {errors[""]}
        </p>
      )}
      <div class="form-actions">
        {!readOnly && (
          <button type="submit" disabled={saving || (!dirty && !saveWord)}>
            {saving ? "Saving…" : (saveWord ?? "Save")}
          </button>
        )}
        <button type="button" class="quiet" onClick={onCancel}>
          {readOnly ? "Close" : "Cancel"}
        </button>
        {more}
      </div>
    </form>
  );
}

interface RowProps {
  field: Field;
  value: unknown;
  error: string;
  readOnly: boolean;
  onChange: (value: unknown) => void;
  onLeave: () => void;
}

/** Kinds whose editor has several controls: they are a group with a name. */
const GROUPS = new Set(["week", "holidays", "keys", "choices", "references", "texts"]);

function FieldRow({ field, value, error, readOnly, onChange, onLeave }: RowProps) {
  const id = `field-${field.name}`;
  const title =
    field.schema.title && field.schema.type !== "object" ? field.schema.title : labelOf(field.name);
  const hint = hintOf(field);
  const describedBy = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
  const below = (
    <>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="wrong" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
    </>
  );
  if (field.kind === "switch") {
    return (
      <div class="field">
        <label class="switch-line" for={id}>
          <input
            id={id}
            type="checkbox"
            checked={value === true}
            disabled={readOnly}
            aria-describedby={describedBy}
            onChange={(event) => onChange(event.currentTarget.checked)}
          />
          <span>{title}</span>
        </label>
        {below}
      </div>
    );
  }
  const editor = (
    <Editor {...{ field, id, title, value, readOnly, describedBy, onChange }} invalid={error !== ""} />
  );
  if (GROUPS.has(field.kind)) {
    return (
      <fieldset class={`field ${error ? "has-error" : ""}`} disabled={readOnly}>
        <legend>{title}</legend>
        {editor}
        {below}
      </fieldset>
    );
  }
  return (
    <div
      class={`field ${error ? "has-error" : ""}`}
      onFocusOut={(event) => {
        const next = event.relatedTarget;
        if (!(next instanceof Node && event.currentTarget.contains(next))) onLeave();
      }}
    >
      <label for={id}>
        {title}
        {!field.required && field.kind === "text" && !hint && <span class="soft"> (optional)</span>}
      </label>
      {editor}
      {below}
    </div>
  );
}

/** What the server says a field means; targets and names need no such words. */
function hintOf({ kind, schema, name }: Field): string {
  const text = schema.description ?? "";
  if (text.startsWith("Where the call goes") || text === "What people see." || text.startsWith("Names of"))
    return "";
  if (name === "number" && text.startsWith("The number that leads here"))
    return "2 to 6 digits that lead here; empty: only other parts of the plan do.";
  if (kind === "target") return text.replace(/^Empty: /, "Nowhere: ");
  return text.replaceAll("`", "");
}

interface EditorProps {
  field: Field;
  id: string;
  title: string;
  value: unknown;
  invalid: boolean;
  readOnly: boolean;
  describedBy: string | undefined;
  onChange: (value: unknown) => void;
}

function Editor({ field, id, title, value, invalid, readOnly, describedBy, onChange }: EditorProps) {
  const { schema, kind } = field;
  const common = { id, "aria-invalid": invalid, "aria-describedby": describedBy, disabled: readOnly };
  const shared = { id, label: title, invalid, describedBy };
  switch (kind) {
    case "number":
      return (
        <span class="with-unit">
          <input
            {...common}
            type="number"
            min={schema.minimum}
            max={schema.maximum}
            step={1}
            required={field.required}
            value={value === null || value === undefined ? "" : Number(value)}
            onInput={(event) => {
              const text = event.currentTarget.value;
              onChange(text === "" ? null : Number(text));
            }}
          />
          {unit(field.name) && <span class="soft">{unit(field.name)}</span>}
        </span>
      );
    case "choice":
      return (
        <select
          {...common}
          value={String(value ?? "")}
          onChange={(event) => onChange(event.currentTarget.value)}
        >
          {schema.enum?.map((one) => (
            <option key={one} value={one}>
              {choice(field.name, String(one))}
            </option>
          ))}
        </select>
      );
    case "choices": {
      const some = value as string[];
      const all = (schema.items || undefined)?.enum ?? [];
      return (
        <div class="checks">
          {all.map(String).map((one) => (
            <label key={one}>
              <input
                type="checkbox"
                checked={some.includes(one)}
                onChange={() =>
                  onChange(some.includes(one) ? some.filter((other) => other !== one) : [...some, one])
                }
              />
              {humane(one)}
            </label>
          ))}
        </div>
      );
    }
    case "target":
      return <TargetField {...shared} value={String(value ?? "")} onChange={onChange} />;
    case "reference":
      return <Reference {...shared} kinds={field.of} value={String(value ?? "")} onChange={onChange} />;
    case "references":
      return (
        <References {...shared} kinds={field.of} value={(value as string[]) ?? []} onChange={onChange} />
      );
    case "texts":
      return <Texts {...shared} value={(value as string[]) ?? []} onChange={onChange} />;
    case "week":
      return <WeekField label={title} value={(value as Span[]) ?? []} onChange={onChange} />;
    case "holidays":
      return <Holidays label={title} value={(value as Holiday[]) ?? []} onChange={onChange} />;
    case "keys":
      return <MenuKeys {...shared} value={(value as Record<string, string>) ?? {}} onChange={onChange} />;
    case "long-text":
      return (
        <textarea
          {...common}
          rows={3}
          maxLength={schema.maxLength}
          value={String(value ?? "")}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      );
    case "secret":
      return (
        <input
          {...common}
          type="password"
          autocomplete="new-password"
          value={String(value ?? "")}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      );
    default:
      return (
        <input
          {...common}
          type="text"
          autocomplete="off"
          spellcheck={false}
          required={field.required}
          maxLength={schema.maxLength}
          placeholder={field.name === "title" ? "" : String(schema.examples?.[0] ?? "")}
          value={String(value ?? "")}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      );
  }
}
