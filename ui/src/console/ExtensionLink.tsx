// A way to an extension of which only the number is known: addresses have its identifier.

import { extensionId } from "./choices";
import { go } from "./route";
import { words } from "./server";
import { say } from "./toasts";

/** Where it leads: "/console/extensions", "/console/plan/mailbox". */
export function ExtensionLink({ number, to = "/console/extensions" }: { number: string; to?: string }) {
  return (
    <button
      type="button"
      class="link"
      onClick={async () => {
        try {
          go(`${to}/${await extensionId(number)}`);
        } catch (error) {
          say(words(error), { wrong: true });
        }
      }}
    >
      {number}
    </button>
  );
}
