// How loud a stream is, about twenty times a second.

const FLOOR_DB = -60;
const INTERVAL_MS = 50;

/** A root mean square in [0, 1] on a scale of loudness: 0 is silence (-60 dB and below), 1 is full scale. */
export function loudness(rms: number): number {
  if (rms <= 0) return 0;
  return Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms)) / FLOOR_DB));
}

export interface Meter {
  stop(): void;
  /** Browsers start sound only after a click: call it in one. */
  resume(): void;
}

/** Report the loudness of a stream until stopped. */
export function meter(stream: MediaStream, report: (level: number) => void): Meter {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  const samples = new Float32Array(analyser.fftSize);
  context.createMediaStreamSource(stream).connect(analyser);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    report(loudness(Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length)));
  }, INTERVAL_MS);
  return {
    stop() {
      clearInterval(timer);
      report(0);
      context.close().catch(() => undefined);
    },
    resume() {
      context.resume().catch(() => undefined);
    },
  };
}
