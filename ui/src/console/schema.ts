// What the server says a value looks like (JSON Schema 2020-12 as msgspec writes it), and which field shows it.

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  type?: string;
  title?: string;
  description?: string;
  enum?: (string | number)[];
  const?: string | number;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema | false;
  additionalProperties?: Schema | boolean;
  propertyNames?: Schema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  default?: unknown;
  examples?: unknown[];
}

export type Value = Record<string, unknown>;

export type FieldKind =
  | "text"
  | "long-text"
  | "secret"
  | "number"
  | "switch"
  | "choice"
  | "target"
  | "reference"
  | "references"
  | "choices"
  | "texts"
  | "week"
  | "holidays"
  | "keys";

export interface Field {
  name: string;
  kind: FieldKind;
  schema: Schema;
  required: boolean;
  /** What a reference names: an extension, or values of these kinds. */
  of: readonly string[];
}

/** A field of a form that is not made from a schema of the server's. */
export function field(
  name: string,
  kind: FieldKind,
  title: string,
  schema: Schema = {},
  more: Partial<Field> = {},
): Field {
  return { name, kind, required: false, of: [], schema: { title, ...schema }, ...more };
}

/** Fields that name things of other kinds; a pattern tells extensions. */
const REFERENCES: Record<string, readonly string[]> = {
  trunks: ["trunk"],
  roles: ["role"],
  role: ["role"],
  hours: ["hours"],
  groups: ["group", "queue"],
  location: ["location"],
  extension: ["extension"],
  person_id: ["person"],
};
const EXTENSION = "^[1-9][0-9]{1,5}$";

export function resolved(schema: Schema, root: Schema): Schema {
  const name = schema.$ref?.split("/").at(-1);
  const found = name ? root.$defs?.[name] : undefined;
  return found ? resolved({ ...found, ...without(schema, "$ref") }, root) : schema;
}

function without(schema: Schema, key: keyof Schema): Schema {
  const { [key]: _, ...rest } = schema;
  return rest;
}

/** The fields of a value, in the server's order; `name` is the caller's business. */
export function fieldsOf(root: Schema): Field[] {
  const top = resolved(root, root);
  const required = new Set(top.required ?? []);
  return Object.entries(top.properties ?? {})
    .filter(([name]) => name !== "name")
    .map(([name, property]) => {
      const schema = resolved(property, root);
      const [kind, of] = kindOf(name, schema, root);
      return { name, kind, schema, required: required.has(name), of };
    });
}

function kindOf(name: string, schema: Schema, root: Schema): [FieldKind, readonly string[]] {
  const known = REFERENCES[name];
  if (schema.enum) return ["choice", []];
  switch (schema.type) {
    case "boolean":
      return ["switch", []];
    case "integer":
    case "number":
      return ["number", []];
    case "array": {
      const items = schema.items ? resolved(schema.items, root) : {};
      if (items.properties?.days) return ["week", []];
      if (items.properties?.date) return ["holidays", []];
      if (items.enum) return ["choices", []];
      if (items.pattern === EXTENSION) return ["references", ["extension"]];
      return known ? ["references", known] : ["texts", []];
    }
    case "object":
      return ["keys", []];
    default:
      if (schema.pattern?.startsWith("^((extension|")) return ["target", []];
      if (schema.pattern === EXTENSION) return ["reference", ["extension"]];
      if (known) return ["reference", known];
      return [(schema.maxLength ?? 0) >= 200 ? "long-text" : "text", []];
  }
}

/** A new value: defaults, and what is empty for the rest. */
export function fresh(root: Schema): Value {
  const made: Value = {};
  for (const { name, kind, schema } of fieldsOf(root))
    made[name] = structuredClone(schema.default ?? empty(kind));
  return made;
}

function empty(kind: FieldKind): unknown {
  if (kind === "keys") return {};
  if (["references", "choices", "texts", "week", "holidays"].includes(kind)) return [];
  if (kind === "switch") return false;
  if (kind === "number") return null;
  return "";
}

/** What is wrong with a field's value, as far as can be said without asking; "" if nothing. */
export function complaint(field: Field, value: unknown): string {
  const { schema, required } = field;
  const missing = value === null || value === undefined || (typeof value === "string" && !value.trim());
  if (missing) return required && field.kind !== "keys" ? "This is needed." : "";
  if (field.kind === "number") {
    const number = Number(value);
    if (!Number.isInteger(number)) return "A whole number is needed.";
    const { minimum, maximum } = schema;
    if (minimum !== undefined && number < minimum) return `At least ${minimum}.`;
    if (maximum !== undefined && number > maximum) return `At most ${maximum}.`;
  }
  if (typeof value === "string") {
    if (schema.maxLength !== undefined && value.length > schema.maxLength)
      return `At most ${schema.maxLength} characters.`;
    if (schema.pattern && field.kind === "text" && !new RegExp(schema.pattern).test(value))
      return `This does not have the right form${schema.description ? `: ${lower(schema.description)}` : "."}`;
  }
  if (required && Array.isArray(value) && !value.length) return "At least one is needed.";
  return "";
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** A name for others to refer to, made of what people see: "Sales team" is sales-team. */
export function slug(title: string): string {
  return title
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 32);
}
