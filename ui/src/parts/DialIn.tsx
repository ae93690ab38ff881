// How to come by phone instead: number, address and PIN.

import type { DialIn as Ways } from "../meeting";

function grouped(digits: string): string {
  return digits.replace(/(\d{3})(?=\d)/g, "$1 ");
}

export function DialIn({ ways, urgent }: { ways: Ways; urgent?: boolean }) {
  return (
    <section class={urgent ? "card dial-in urgent" : "card dial-in"} aria-labelledby="dial-in-title">
      <h2 id="dial-in-title">Dial in instead</h2>
      <dl>
        <div>
          <dt>Number</dt>
          <dd class="digits">{grouped(ways.number)}</dd>
        </div>
        <div>
          <dt>PIN</dt>
          <dd class="digits">{ways.pin ? grouped(ways.pin) : "From your invitation"}</dd>
        </div>
        <div class="address">
          <dt>SIP address</dt>
          <dd>
            <a class="code" href={ways.address}>
              {ways.address}
            </a>
          </dd>
        </div>
      </dl>
    </section>
  );
}
