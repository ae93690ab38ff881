// Plays a voice that is kept: decrypted while it is sent, and never before somebody asks.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "../api";
import { Icon } from "./Icon";
import { words } from "./server";

interface Props {
  /** Of the API. */
  path: string;
  label: string;
  /** Why it is played, where that has to be said. */
  reason?: string;
  onPlayed?: () => void;
}

const LOADING_MS = 60_000;

export function Player({ path, label, reason, onPlayed }: Props) {
  const [url, setUrl] = useState("");
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const player = useRef<HTMLAudioElement>(null);
  useEffect(() => () => URL.revokeObjectURL(url), [url]);
  useEffect(() => {
    if (url) player.current?.play().catch(() => {});
  }, [url]);
  const play = async () => {
    setBusy(true);
    setTrouble("");
    try {
      const headers: Record<string, string> = { "X-Ringback": "1" };
      if (reason) headers["X-Reason"] = encodeURIComponent(reason);
      const answer = await ask(`/api/v1${path}`, { headers }, LOADING_MS);
      setUrl(URL.createObjectURL(await answer.blob()));
      onPlayed?.();
    } catch (error) {
      setTrouble(words(error));
    } finally {
      setBusy(false);
    }
  };
  if (trouble)
    return (
      <span role="alert" class="wrong">
        {trouble}
      </span>
    );
  if (url)
    return (
      // biome-ignore lint/a11y/useMediaCaption: nobody has written down what was said
      <audio ref={player} controls src={url} aria-label={label} />
    );
  return (
    <button type="button" class="quiet small" aria-label={label} disabled={busy} onClick={play}>
      <Icon of="play" /> {busy ? "Opening…" : "Play"}
    </button>
  );
}
