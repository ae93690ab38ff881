// The calls that go on, told on every page.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Icon } from "../Icon";
import { lasting } from "../labels";
import { alive, type Call, whom } from "./calls";

export function Lasting({ call }: { call: Call }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  if (call.state === "dialling") return <>calling…</>;
  if (call.state === "ringing") return <>it rings…</>;
  if (call.held) return <>on hold</>;
  const time = lasting((Date.now() - (call.since ?? Date.now())) / 1000);
  return <>{call.heldByThem ? `${time}, on hold there` : time}</>;
}

/** The calls that go on, on every other page. */
export function CallBar(): ComponentChildren {
  const [first] = alive.value;
  if (!first) return null;
  const incoming = alive.value.find(({ state }) => state === "incoming");
  const shown = incoming ?? first;
  return (
    <a class={`call-bar ${incoming ? "incoming" : ""}`} href="/phone">
      <Icon of="phone" />{" "}
      {incoming ? (
        `${whom(shown)} calls`
      ) : (
        <>
          {whom(shown)} · <Lasting call={shown} />
        </>
      )}
    </a>
  );
}
