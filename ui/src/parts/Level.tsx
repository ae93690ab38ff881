// The level meter: moved outside of rendering, since it changes twenty times a second.

import { type ReadonlySignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";

export function Level({ level }: { level: ReadonlySignal<number> }) {
  const bar = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    const value = level.value;
    if (bar.current) bar.current.style.transform = `scaleX(${value.toFixed(2)})`;
  });
  return (
    <div class="level">
      <span id="level-name" class="soft">
        Your level
      </span>
      <div class="track" role="img" aria-label="Level of your microphone, moving when you speak">
        <div class="bar" ref={bar} />
      </div>
    </div>
  );
}
