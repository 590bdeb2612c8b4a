/**
 * The guest's clock on the host's. A reading of the guest's clock was taken at some moment between the host's question and its answer, so
 * the middle of the two is off by half of the round trip at most. The shortest round trip bounds it best.
 *
 * The guest's clock is taken to run at the host's rate: an emulated timer is the host's own clock.
 */

/** One question and its answer; all in microseconds. */
export interface ClockReading {
  readonly sent: number;
  readonly received: number;
  /** Of the guest's monotonic clock. */
  readonly guest: number;
}

/** host = guest + offset */
export interface Alignment {
  /** Of the guest's clock's zero on the host's, in microseconds. */
  readonly offset: number;
  /** How far off it may be either way, in microseconds. */
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
 * Without readings only this is known: the init was ready before the host heard of it, and the machine ran before the guest's clock did.
 * @param started when the machine was started, on the host's clock
 */
export function alignByHandshake(heard: number, ready: number, started: number): Alignment {
  const latest = heard - ready;
  // The host greets every 50 ms at most before it is answered; more than that the answer did not wait.
  const earliest = Math.max(started, latest - 50_000);
  return { offset: latest, error: Math.max(0, latest - earliest), method: 'handshake' };
}
