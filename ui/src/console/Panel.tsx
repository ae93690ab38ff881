// What is edited, beside the list it comes from; on a phone in its place.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./Icon";
import { go } from "./route";

interface Props {
  title: string;
  subtitle?: ComponentChildren;
  back: string;
  children: ComponentChildren;
}

export function Panel({ title, subtitle, back, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const panel = heading.current?.closest("aside");
    const first = panel?.querySelector<HTMLElement>(".form input, .form select, .form textarea");
    // Somebody who adds begins to type; somebody who looks is told where they are.
    if (title.startsWith("New") && first) first.focus();
    else heading.current?.focus({ preventScroll: true });
    panel?.scrollTo(0, 0);
  }, [title]);
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]"))
        go(back);
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [back]);
  return (
    <aside class="panel" aria-labelledby="panel-title">
      <header>
        <a class="icon-button" href={back} aria-label="Close">
          <Icon of="close" />
        </a>
        <div>
          <h2 id="panel-title" ref={heading} tabIndex={-1}>
            {title}
          </h2>
          {subtitle && <div class="soft">{subtitle}</div>}
        </div>
      </header>
      {children}
    </aside>
  );
}
