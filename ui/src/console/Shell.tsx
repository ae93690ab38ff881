// The frame of every page: where one can go, who one is, and what was just said.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./Icon";
import { Jump } from "./Jump";
import { KIND_ICONS, kindOf, SECTIONS } from "./kinds";
import { CallBar } from "./phone/CallBar";
import { path } from "./route";
import { may, you } from "./session";
import { dismiss, toasts } from "./toasts";
import { isTyping } from "./typing";

export interface Place {
  title: string;
  href: string;
  icon: IconName;
}

interface Section {
  title: string;
  places: Place[];
}

/** Where this person can go. */
export function sections(): Section[] {
  const when = (permission: string, ...places: Place[]) => (may(permission) ? places : []);
  const own = Boolean(you.value?.extensions.length);
  const found: Section[] = [
    {
      title: "",
      places: [
        ...(own ? [{ title: "Phone", href: "/phone", icon: "phone" as const }] : []),
        ...when("status:read", { title: "Status", href: "/console/status", icon: "status" }),
        ...(own || may("calls:read")
          ? [{ title: "Calls", href: "/console/calls", icon: "list" as const }]
          : []),
        ...when("meetings:read", { title: "Meetings", href: "/console/meetings", icon: "meeting" }),
        ...(own || may("voicemail:read")
          ? [{ title: "Voicemail", href: "/console/voicemail", icon: "voicemail" as const }]
          : []),
        ...when("recordings:play", { title: "Recordings", href: "/console/recordings", icon: "record" }),
        ...when("calls:read", { title: "Queues now", href: "/console/queues", icon: "queue" }),
      ],
    },
    {
      title: "People",
      places: [
        ...when("extensions:read", { title: "People", href: "/console/people", icon: "people" }),
        ...when("extensions:read", { title: "Extensions", href: "/console/extensions", icon: "phone" }),
        ...when("devices:read", { title: "Devices", href: "/console/devices", icon: "device" }),
        ...when("logins:read", { title: "Logins", href: "/console/logins", icon: "key" }),
      ],
    },
    ...SECTIONS.map(({ title, kinds }) => ({
      title,
      places: [
        ...(title === "Outside"
          ? when("trunks:read", { title: "Trunks", href: "/console/trunks", icon: "trunk" })
          : []),
        ...kinds.flatMap((name) => {
          const kind = kindOf(name);
          if (!kind) return [];
          return [{ title: kind.plural, href: `/console/plan/${name}`, icon: KIND_ICONS[name] ?? "plan" }];
        }),
      ],
    })),
    {
      title: "System",
      places: [
        ...when("trunks:read", { title: "Where does a call go?", href: "/console/simulate", icon: "route" }),
        ...when("backups:read", { title: "Backups", href: "/console/backups", icon: "backup" }),
        ...when("plan:read", { title: "History", href: "/console/history", icon: "history" }),
        ...when("trunks:write", { title: "Set up", href: "/console/setup", icon: "wand" }),
      ],
    },
  ];
  return found.filter(({ places }) => places.length);
}

export function Shell({ children }: { children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const here = path.value;
  const main = useRef<HTMLElement>(null);
  useEffect(() => setOpen(false), [here]);
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      const undo = toasts.value.at(-1)?.undo;
      if ((event.ctrlKey || event.metaKey) && event.key === "z" && undo && !isTyping(event.target)) {
        event.preventDefault();
        runUndo();
      }
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  return (
    <div class={`shell ${open ? "menu-open" : ""}`}>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the page
      </button>
      <header class="top">
        <button
          type="button"
          class="icon-button menu-button"
          aria-expanded={open}
          aria-controls="places"
          aria-label="Menu"
          onClick={() => setOpen(!open)}
        >
          <Icon of="menu" />
        </button>
        <a class="brand" href={you.value?.role === "user" ? "/phone" : "/console"}>
          Ringback
        </a>
        <Jump />
        {here !== "/phone" && <CallBar />}
        <a class="who-am-i" href="/console/account">
          <Icon of="person" /> <span>{you.value?.name}</span>
        </a>
      </header>
      <nav id="places" class="places" aria-label="Pages">
        {sections().map(({ title, places }) => (
          <div key={title}>
            {title && <h2>{title}</h2>}
            <ul>
              {places.map((place) => (
                <li key={place.href}>
                  <a
                    href={place.href}
                    aria-current={
                      here === place.href || here.startsWith(`${place.href}/`) ? "page" : undefined
                    }
                  >
                    <Icon of={place.icon} /> {place.title}
                  </a>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
      <Toasts />
    </div>
  );
}

function runUndo(): void {
  const last = toasts.value.at(-1);
  if (!last?.undo) return;
  dismiss(last.id);
  last.undo();
}

function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, wrong, undo }) => (
        <div key={id} class={`toast ${wrong ? "wrong" : ""}`}>
          <span>{text}</span>
          {undo && (
            <button
              type="button"
              onClick={() => {
                dismiss(id);
                undo();
              }}
            >
              Undo
            </button>
          )}
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <Icon of="close" />
          </button>
        </div>
      ))}
    </div>
  );
}
