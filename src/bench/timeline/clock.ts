/**
 * Aligns the guest's clock with the host's. The guest read its clock at some moment between the host's question and its
 * answer, so the midpoint is off by at most half of the round trip. The shortest round trip gives the best bound.
 *
 * The guest's clock is assumed to run at the host's rate: an emulated timer is the host's own clock.
 */

/** One question and its answer, in microseconds. */
export interface ClockReading {
  readonly sent: number;
  readonly received: number;
  /** Reading of the guest's monotonic clock. */
  readonly guest: number;
}

/** Where the guest's clock lies on the host's: host = guest + offset. */
export interface Alignment {
  /** The guest's zero on the host's clock, in microseconds. */
  readonly offset: number;
  /** The offset may be off by this much either way, in microseconds. */
  readonly error: number;
  readonly method: 'round-trip' | 'handshake';
}

/** @returns undefined for no readings */
export function align(readings: readonly ClockReading[]): Alignment | undefined {
  let best: Alignment | undefined;
  for (const { sent, received, guest } of readings) {
    const error = (received - sent) / 2;
    if (best === undefined || error < best.error) best = { offset: sent + error - guest, error, method: 'round-trip' };
  }
  return best;
}

/**
 * Aligns without readings, from two facts: the init was ready before the host heard of it, and the machine ran before
 * the guest's clock did.
 * @param heard When the host heard that the init is ready, on the host's clock.
 * @param ready When the init was ready, on the guest's clock.
 * @param started When the machine was started, on the host's clock.
 */
export function alignByHandshake(heard: number, ready: number, started: number): Alignment {
  const latest = heard - ready;
  // The host greets at least every 50 ms until it is answered, so the answer waited no longer than that.
  const earliest = Math.max(started, latest - 50_000);
  return { offset: latest, error: Math.max(0, latest - earliest), method: 'handshake' };
}
