// What is heard before anybody talks: the ringing of a call that comes in, and of one that goes out.

interface Pattern {
  frequencies: number[];
  on_s: number;
  off_s: number;
  level: number;
}

const RINGING: Pattern = { frequencies: [440, 480], on_s: 2, off_s: 4, level: 0.05 };
const CALLED: Pattern = { frequencies: [660, 880], on_s: 0.9, off_s: 1.6, level: 0.12 };

let stopIt = () => {};
let playing = "";

export type Tone = "" | "ringing" | "called";

/** Play one, or none. */
export function tone(which: Tone): void {
  if (which === playing) return;
  stopIt();
  playing = which;
  if (which) stopIt = play(which === "ringing" ? RINGING : CALLED);
}

function play({ frequencies, on_s, off_s, level }: Pattern): () => void {
  const context = new AudioContext();
  const gain = context.createGain();
  gain.gain.value = 0;
  gain.connect(context.destination);
  const sources = frequencies.map((frequency) => {
    const source = context.createOscillator();
    source.frequency.value = frequency;
    source.connect(gain);
    source.start();
    return source;
  });
  const beat = () => {
    const now = context.currentTime;
    gain.gain.setTargetAtTime(level, now, 0.02);
    gain.gain.setTargetAtTime(0, now + on_s, 0.02);
  };
  beat();
  const timer = setInterval(beat, (on_s + off_s) * 1000);
  return () => {
    clearInterval(timer);
    for (const source of sources) source.stop();
    context.close();
    stopIt = () => {};
    playing = "";
  };
}
