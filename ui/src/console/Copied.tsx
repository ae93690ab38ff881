// A text that is copied by a button; in a list of terms.

import { say } from "./toasts";

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say("Copied");
  } catch {
    say("This browser does not let pages copy: mark the text and copy it.", { wrong: true });
  }
}

export function Copied({ title, text, shown = text }: { title: string; text: string; shown?: string }) {
  return (
    <>
      <dt>{title}</dt>
      <dd>
        <code>{shown}</code>{" "}
        <button type="button" class="quiet small" aria-label={`Copy: ${title}`} onClick={() => copy(text)}>
          Copy
        </button>
      </dd>
    </>
  );
}
