// Whether sound still comes from the server: a judgement, without clock or network.

/** The server sends 50 packets a second, whoever speaks. */
const SILENT_MS = 900;
/** People are told of longer gaps only. */
const NOTICED_MS = 2_000;
const AGAIN_MS = 3_000;
const MAX_AGAIN_MS = 12_000;

export class Path {
  private packets = 0;
  private heard_ms: number | null = null;
  private lost = false;
  private due_ms = 0;
  private again_ms = AGAIN_MS;

  /** So many packets have come since the call began. */
  count(packets: number, now_ms: number): void {
    if (packets === this.packets) return;
    this.packets = packets;
    this.heard_ms = now_ms;
  }

  /** What ICE says (W3C WebRTC §5.6.4). */
  ice(state: RTCIceConnectionState): void {
    this.lost = state === "disconnected" || state === "failed";
  }

  /** Whether nothing comes, or ICE has no path. */
  broken(now_ms: number): boolean {
    return this.lost || this.silent_ms(now_ms) >= SILENT_MS;
  }

  /** Whether a person should be told. */
  noticed(now_ms: number): boolean {
    return this.lost || this.silent_ms(now_ms) >= NOTICED_MS;
  }

  /** Whether to look for another path now: when it breaks, and again while it stays so. */
  due(now_ms: number): boolean {
    if (!this.broken(now_ms)) {
      this.due_ms = 0;
      this.again_ms = AGAIN_MS;
      return false;
    }
    if (now_ms < this.due_ms) return false;
    this.due_ms = now_ms + AGAIN_MS;
    return true;
  }

  /** Another path is being looked for, for whatever reason: give it its time. */
  tried(now_ms: number): void {
    this.due_ms = now_ms + this.again_ms;
    this.again_ms = Math.min(MAX_AGAIN_MS, 2 * this.again_ms);
  }

  private silent_ms(now_ms: number): number {
    return this.heard_ms === null ? 0 : now_ms - this.heard_ms;
  }
}

/** The packets of sound that have come over a connection. */
export async function packetsOf(connection: RTCPeerConnection): Promise<number> {
  let packets = 0;
  for (const one of (await connection.getStats()).values()) {
    if (one.type === "inbound-rtp") packets += one.packetsReceived ?? 0;
  }
  return packets;
}
