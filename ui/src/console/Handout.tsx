// What is shown once and handed on: a phone's password, the link to choose one's own.

import { Copied } from "./Copied";

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
