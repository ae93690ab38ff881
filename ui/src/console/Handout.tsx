// What is shown once and handed on: a phone's password, the link to choose one's own.

import { say } from "./toasts";

interface Props {
  name: string;
  account?: { number: string; password: string };
  link?: string;
}

export function Handout({ name, account, link }: Props) {
  return (
    <div class="handout" role="status">
      <p>
        <b>Shown this once.</b> Hand it to {name}.
      </p>
      <dl>
        {account && (
          <>
            <Copied title="Extension" text={account.number} />
            <Copied title="Password of the phone" text={account.password} />
            <Copied title="Server" text={location.hostname} />
          </>
        )}
        {link && <Copied title="Link to choose a password (24 hours)" text={link} />}
      </dl>
    </div>
  );
}

function Copied({ title, text }: { title: string; text: string }) {
  return (
    <>
      <dt>{title}</dt>
      <dd>
        <code>{text}</code>{" "}
        <button
          type="button"
          class="quiet small"
          aria-label={`Copy: ${title}`}
          onClick={async () => {
            try {
              await navigator.clipboard.writeText(text);
              say("Copied");
            } catch {
              say("This browser does not let pages copy: mark the text and copy it.", { wrong: true });
            }
          }}
        >
          Copy
        </button>
      </dd>
    </>
  );
}
