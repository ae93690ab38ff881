// What is loaded for a component, and again when what it depends on changes.

import { useEffect, useRef, useState } from "preact/hooks";
import { words } from "./server";

export interface Loaded<T> {
  data: T | undefined;
  trouble: string;
  /** Load again; what is there stays until then. */
  again: () => void;
}

export function useLoaded<T>(
  load: (signal: AbortSignal) => Promise<T>,
  depends: readonly unknown[],
  every_ms = 0,
): Loaded<T> {
  const [data, setData] = useState<T>();
  const [trouble, setTrouble] = useState("");
  const [turn, setTurn] = useState(0);
  const loader = useRef(load);
  loader.current = load;
  const key = JSON.stringify(depends);
  const shown = useRef(key);
  if (shown.current !== key) {
    shown.current = key;
    if (data !== undefined) setData(undefined);
  }
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async () => {
      try {
        const found = await loader.current(stop.signal);
        if (stop.signal.aborted) return;
        setData(() => found);
        setTrouble("");
      } catch (error) {
        if (!stop.signal.aborted) setTrouble(words(error));
      }
      if (every_ms && !stop.signal.aborted) timer = setTimeout(run, every_ms);
    };
    run();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, turn, every_ms]);
  return { data, trouble, again: () => setTurn((before) => before + 1) };
}
