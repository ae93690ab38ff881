// People from a table: looked through first, with what is wrong in each row; then all of them or none.

import { useRef, useState } from "preact/hooks";
import { ask } from "../../api";
import { count, label } from "../labels";
import { words } from "../server";
import { say } from "../toasts";

export interface Row {
  row: number;
  cells: Record<string, string>;
  problems: { field: string; message: string }[];
  password: string | null;
  device_username: string | null;
  device_password: string | null;
}

interface Result {
  dry_run: boolean;
  imported: number;
  problems: number;
  rows: Row[];
}

const LIMIT_MS = 120_000;
const SHOWN = 200;
const EXAMPLE = "name,extension,e_mail,role,model,mac\nAda Example,1001,ada@example.com,,,\n";

async function send(table: ArrayBuffer, dryRun: boolean): Promise<Result> {
  const answer = await ask(
    `/api/v1/people/import?dry_run=${dryRun}`,
    { method: "POST", headers: { "Content-Type": "text/csv", "X-Ringback": "1" }, body: table },
    LIMIT_MS,
  );
  return answer.json();
}

export function ImportPage() {
  return (
    <section class="page">
      <h1>People from a table</h1>
      <ImportPeople />
    </section>
  );
}

export function ImportPeople({ onDone }: { onDone?: () => void }) {
  // As it is: which bytes are letters is for the server to say.
  const [table, setTable] = useState<ArrayBuffer | null>(null);
  const [result, setResult] = useState<Result | null>(null);
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const run = async (content: ArrayBuffer, dryRun: boolean) => {
    setBusy(true);
    setTrouble("");
    try {
      const found = await send(content, dryRun);
      setResult(found);
      if (!found.dry_run && found.imported) {
        say(`${count(found.imported, "person is", "people are")} here now`);
        onDone?.();
      }
    } catch (error) {
      setTrouble(words(error));
      setResult(null);
    } finally {
      setBusy(false);
    }
  };
  const read = async (file: File | undefined) => {
    if (!file) return;
    const content = await file.arrayBuffer();
    setTable(content);
    await run(content, true);
  };
  const stored = result !== null && !result.dry_run && result.imported > 0;
  return (
    <div class="import">
      <p class="soft">
        A CSV file as a spreadsheet saves it. The first row names the columns: <code>name</code>, and of{" "}
        <code>extension</code>, <code>e_mail</code>, <code>role</code>, <code>site</code>, <code>model</code>,{" "}
        <code>mac</code> those you have.{" "}
        <a href={`data:text/csv;charset=utf-8,${encodeURIComponent(EXAMPLE)}`} download="people.csv">
          An example
        </a>
      </p>
      {!stored && (
        // biome-ignore lint/a11y/noStaticElementInteractions: files are dropped here; the button beside does the same
        <div
          class="drop"
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            event.preventDefault();
            read(event.dataTransfer?.files[0]);
          }}
        >
          <input
            ref={input}
            type="file"
            class="unseen"
            tabIndex={-1}
            accept=".csv,text/csv"
            aria-label="CSV file"
            onChange={(event) => {
              read(event.currentTarget.files?.[0]);
              event.currentTarget.value = "";
            }}
          />
          <button
            type="button"
            class={result ? "quiet" : ""}
            disabled={busy}
            onClick={() => input.current?.click()}
          >
            {result ? "Choose another file" : "Choose a file"}
          </button>{" "}
          <span class="soft">or drop it here</span>
        </div>
      )}
      {trouble && (
        <p role="alert" class="wrong">
          {trouble}
        </p>
      )}
      {result && (
        <>
          <p role="status">
            {stored
              ? `${count(result.imported, "person was", "people were")} added. The passwords are shown this once: keep the table.`
              : result.problems
                ? `${count(result.problems, "problem", "problems")} in ${count(result.rows.filter(({ problems }) => problems.length).length, "row", "rows")}. Nothing was stored; correct the file and choose it again.`
                : `${count(result.rows.length, "row", "rows")}, and nothing wrong with them.`}
          </p>
          <div class="buttons">
            {table && !stored && !result.problems && result.rows.length > 0 && (
              <button type="button" disabled={busy} onClick={() => run(table, false)}>
                {busy ? "Adding…" : `Add ${count(result.rows.length, "person", "people")}`}
              </button>
            )}
            {stored && (
              <a
                class="button"
                download="passwords.csv"
                href={URL.createObjectURL(new Blob([passwords(result.rows)], { type: "text/csv" }))}
              >
                Save the passwords
              </a>
            )}
          </div>
          <Rows rows={result.rows} />
        </>
      )}
    </div>
  );
}

function Rows({ rows }: { rows: Row[] }) {
  const wrong = rows.filter(({ problems }) => problems.length);
  const shown = (wrong.length ? wrong : rows).slice(0, SHOWN);
  const columns = Object.keys(rows[0]?.cells ?? {});
  const passwords = rows.some(({ password }) => password);
  return (
    <div class="scroll">
      <table class="rows">
        <thead>
          <tr>
            <th scope="col">Row</th>
            {columns.map((one) => (
              <th key={one} scope="col">
                {label(one)}
              </th>
            ))}
            {passwords && <th scope="col">Password</th>}
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={row.row}>
              <td class="num">{row.row}</td>
              {columns.map((column) => {
                const said = row.problems.filter(({ field }) => field === column);
                return (
                  <td key={column} class={said.length ? "bad" : ""}>
                    {row.cells[column]}
                    {said.map(({ message }) => (
                      <div key={message} class="wrong">
                        {message}
                      </div>
                    ))}
                  </td>
                );
              })}
              {passwords && (
                <td>
                  <code>{row.password}</code>
                </td>
              )}
            </tr>
          ))}
          {shown.flatMap((row) =>
            row.problems
              .filter(({ field }) => !columns.includes(field))
              .map(({ message }) => (
                <tr key={`${row.row}${message}`}>
                  <td class="num">{row.row}</td>
                  <td class="wrong" colSpan={columns.length}>
                    {message}
                  </td>
                </tr>
              )),
          )}
        </tbody>
      </table>
      {(wrong.length || rows.length) > SHOWN && <p class="soft">The first {SHOWN} are shown.</p>}
    </div>
  );
}

function passwords(rows: Row[]): string {
  const cell = (text: string | null | undefined) => `"${(text ?? "").replaceAll('"', '""')}"`;
  const lines = rows.map(({ cells, password, device_username, device_password }) =>
    [cells.name, cells.extension, password, device_username, device_password].map(cell).join(","),
  );
  return ["name,extension,password,device_username,device_password", ...lines].join("\r\n");
}
