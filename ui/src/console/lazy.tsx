// Pages that come when they are opened, or while nothing else is to be done.

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Lazy<P> {
  (props: P): preact.JSX.Element | null;
  /** Begin to load it. */
  load: () => Promise<unknown>;
}

export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): Lazy<P> {
  let loading: Promise<void> | null = null;
  let Loaded: ComponentType<P> | null = null;
  const begin = () => {
    loading ??= load().then(
      (found) => {
        Loaded = found;
      },
      (error) => {
        // The next who wants it tries again.
        loading = null;
        throw error;
      },
    );
    return loading;
  };
  const Shown = (props: P) => {
    const [failed, setFailed] = useState(false);
    const [, look] = useState(0);
    // It may come between this and the effect.
    const there = Loaded !== null;
    useEffect(() => {
      if (there) return;
      let here = true;
      begin().then(
        () => here && look((before) => before + 1),
        () => here && setFailed(true),
      );
      return () => {
        here = false;
      };
    }, []);
    if (Loaded) return <Loaded {...props} />;
    return failed ? <Failed /> : null;
  };
  return Object.assign(Shown, { load: begin });
}

/** The server is away, or has another version since this page was opened. */
function Failed() {
  return (
    <section class="page">
      <p role="alert">This page could not be loaded.</p>
      <button type="button" onClick={() => location.reload()}>
        Load it again
      </button>
    </section>
  );
}
