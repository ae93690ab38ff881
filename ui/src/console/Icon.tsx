// Small pictures, drawn in the colour of the text around them; what they mean is always said in words, too.

const PATHS = {
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  back: "M14 6l-6 6 6 6",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13ZM15.500 15.500 20 20",
  people:
    "M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7ZM3 20c0-3.500 2.500-5.500 6-5.500s6 2 6 5.500M16 4.500a3.500 3.500 0 0 1 0 6.500M17.500 14.700c2.200.7 3.500 2.500 3.500 5.300",
  phone:
    "M6 3h3l1.500 5-2 1.500a12 12 0 0 0 6 6l1.500-2 5 1.500v3a2 2 0 0 1-2 2A16 16 0 0 1 4 5a2 2 0 0 1 2-2Z",
  device: "M7 3h10v18H7zM10 18h4",
  plan: "M6 5h5v5H6zM13 14h5v5h-5zM8.500 10v6.500H13",
  trunk: "M3 12h18M15 6l6 6-6 6",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  record: "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10Z",
  voicemail: "M6.500 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM17.500 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM6.500 16h11",
  queue: "M4 7h16M4 12h11M4 17h7",
  status: "M3 12h4l3 7 4-14 3 7h4",
  route: "M6 6h.01M18 18h.01M6 9v3a4 4 0 0 0 4 4h5M12 13l3 3-3 3",
  history: "M4 12a8 8 0 1 0 2.500-5.800M4 4v4h4M12 8v4l3 2",
  key: "M9 13a4 4 0 1 1 3-1.300L20 20M17 17l2-2",
  wand: "M5 19 16 8M14 4v3M20 10h-3M18.500 5.500l-2 2",
  menu: "M4 7h16M4 12h16M4 17h16",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM5 20c0-3.500 3-6 7-6s7 2.500 7 6",
  out: "M15 4h3a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-3M10 8l-4 4 4 4M6 12h10",
  play: "M8 5l11 7-11 7z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  incoming: "M17 7 7 17M7 9v8h8",
  outgoing: "M7 17 17 7M9 7h8v8",
  missed: "M5 8l7 7 7-7M19 8v5M19 8h-5",
  pause: "M9 5v14M15 5v14",
  backspace: "M9 6h11v12H9l-6-6 6-6ZM12 9.500l5 5M17 9.500l-5 5",
  microphone: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5 11v1a7 7 0 0 0 14 0v-1M12 19v3",
  transfer: "M4 9h13M13 5l4 4-4 4M20 16H8",
  keypad: "M6 5h.01M12 5h.01M18 5h.01M6 11h.01M12 11h.01M18 11h.01M6 17h.01M12 17h.01M18 17h.01",
  hangup: "M3 14c5-5 13-5 18 0l-2.500 3-3.500-1.500v-3a12 12 0 0 0-6 0v3L5.500 17Z",
  meeting:
    "M12 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM7 20v-1.500c0-2.500 2-4 5-4s5 1.500 5 4V20M4.500 12.500a2 2 0 1 0 0-4M2 18c0-2 .8-3 2-3.500M19.500 12.500a2 2 0 1 1 0-4M22 18c0-2-.8-3-2-3.500",
  backup:
    "M5 7c0-1.700 3-3 7-3s7 1.300 7 3-3 3-7 3-7-1.300-7-3ZM5 7v10c0 1.700 3 3 7 3s7-1.300 7-3V7M5 12c0 1.700 3 3 7 3s7-1.300 7-3",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  check: "M5 13l4 4L19 7",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ of }: { of: IconName }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      stroke-width="1.8"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={PATHS[of]} />
    </svg>
  );
}
