// Which firmware phones should run, by model: said here, or by the settings file.

import { useState } from "preact/hooks";
import { removeWithUndo, sayWithUndo } from "../deleting";
import { Icon } from "../Icon";
import { count } from "../labels";
import { useLoaded } from "../loading";
import { Panel } from "../Panel";
import { slug } from "../schema";
import { byField, get, put } from "../server";
import { may } from "../session";

interface Wanted {
  name: string;
  model: string;
  version: string;
  by_settings: boolean;
  devices: number;
  behind: number;
}

interface Answer {
  wanted: Wanted[];
  models: string[];
}

const VERSION = /^\d{1,6}(\.\d{1,8}){1,5}$/;
const WRONG_VERSION = "Two numbers or more with dots between, such as 108.86.0.70.";

export function FirmwarePanel({ onDone }: { onDone: () => void }) {
  const { data, trouble, again } = useLoaded((signal) => get<Answer>("/devices/firmware", signal), []);
  const changed = () => {
    again();
    onDone();
  };
  const writable = may("plan:write");
  return (
    <Panel
      title="Wanted firmware"
      back="/console/devices"
      subtitle="Phones of these models that run an older one are shown as behind. Nothing is sent to them."
    >
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {data?.wanted.length === 0 && <p class="soft">None is wanted of any model yet.</p>}
      {data?.wanted.map((one) => (
        <One
          key={`${one.name}${one.version}${one.by_settings}`}
          one={one}
          writable={writable}
          onChange={changed}
        />
      ))}
      {data && writable && <Another key={data.wanted.length} models={unsaid(data)} onChange={changed} />}
    </Panel>
  );
}

/** Models of devices of which nothing is said yet. */
function unsaid({ wanted, models }: Answer): string[] {
  const said = new Set(wanted.map(({ name }) => name));
  return models.filter((model) => !said.has(slug(model)));
}

async function keep(model: string, version: string, then: () => void): Promise<Record<string, string>> {
  const name = slug(model);
  if (!name) return { model: "Make and model, such as Yealink T46U." };
  if (!VERSION.test(version)) return { version: WRONG_VERSION };
  try {
    await put(`/plan/firmware/${name}`, { title: model, version });
  } catch (error) {
    const { name: wrong, title, ...found } = byField(error, ["name", "title", "version"]);
    return { ...found, ...((wrong ?? title) ? { model: wrong ?? title ?? "" } : {}) };
  }
  then();
  await sayWithUndo(`${model} should run ${version}`, `${model} is as it was`, "firmware", name, then);
  return {};
}

interface OneProps {
  one: Wanted;
  writable: boolean;
  onChange: () => void;
}

function One({ one, writable, onChange }: OneProps) {
  const [version, setVersion] = useState(one.version);
  const [errors, setErrors] = useState<Record<string, string>>({});
  const id = `firmware-${one.name}`;
  const wrong = errors.version ?? errors.model ?? errors[""] ?? "";
  return (
    <form
      class="field"
      noValidate
      onSubmit={async (event) => {
        event.preventDefault();
        setErrors(await keep(one.model, version.trim(), onChange));
      }}
    >
      <label for={id}>
        {one.model}{" "}
        <span class="soft">
          {one.devices ? count(one.devices, "phone", "phones") : "no phones"}
          {one.by_settings && ", said by the settings file"}
        </span>{" "}
        {one.behind > 0 && <span class="tag poor">{one.behind} behind</span>}
      </label>
      <div class="inline">
        <input
          id={id}
          value={version}
          readOnly={!writable}
          spellcheck={false}
          autocomplete="off"
          aria-invalid={wrong !== ""}
          aria-describedby={wrong ? `${id}-error` : undefined}
          onInput={(event) => {
            setVersion(event.currentTarget.value);
            setErrors({});
          }}
        />
        {writable && (
          <button type="submit" disabled={version.trim() === one.version}>
            Save
          </button>
        )}
        {writable && !one.by_settings && (
          <button
            type="button"
            class="icon-button"
            aria-label={`Want none of ${one.model}`}
            onClick={async () => {
              const title = `What is wanted of ${one.model}`;
              if (await removeWithUndo(`/plan/firmware/${one.name}`, title, "firmware", one.name, onChange))
                onChange();
            }}
          >
            <Icon of="close" />
          </button>
        )}
      </div>
      {wrong && (
        <p id={`${id}-error`} role="alert" class="wrong">
          {wrong}
        </p>
      )}
    </form>
  );
}

function Another({ models, onChange }: { models: string[]; onChange: () => void }) {
  const [model, setModel] = useState("");
  const [version, setVersion] = useState("");
  const [errors, setErrors] = useState<Record<string, string>>({});
  const said = (field: string) => errors[field] && `firmware-${field}-error`;
  return (
    <section class="part">
      <h3>Another model</h3>
      <form
        class="form"
        noValidate
        onSubmit={async (event) => {
          event.preventDefault();
          setErrors(await keep(model.trim(), version.trim(), onChange));
        }}
      >
        <div class="field">
          <label for="firmware-model">Make and model</label>
          <input
            id="firmware-model"
            list="firmware-models"
            placeholder="Yealink T46U"
            maxLength={80}
            value={model}
            aria-invalid={Boolean(errors.model)}
            aria-describedby={said("model") || "firmware-model-hint"}
            onInput={(event) => setModel(event.currentTarget.value)}
          />
          <datalist id="firmware-models">
            {models.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
          <p id="firmware-model-hint" class="hint">
            Its make alone stands for all its models; the one with the most words counts.
          </p>
          {errors.model && (
            <p id="firmware-model-error" role="alert" class="wrong">
              {errors.model}
            </p>
          )}
        </div>
        <div class="field">
          <label for="firmware-version">Version</label>
          <input
            id="firmware-version"
            placeholder="108.86.0.70"
            maxLength={60}
            value={version}
            aria-invalid={Boolean(errors.version)}
            aria-describedby={said("version") || undefined}
            onInput={(event) => setVersion(event.currentTarget.value)}
          />
          {errors.version && (
            <p id="firmware-version-error" role="alert" class="wrong">
              {errors.version}
            </p>
          )}
        </div>
        {errors[""] && (
          <p role="alert" class="wrong">
            {errors[""]}
          </p>
        )}
        <div class="form-actions">
          <button type="submit">Add</button>
        </div>
      </form>
    </section>
  );
}
