/** The samples that QEMU gives, and a sound server takes: 16 bits, little-endian, of two channels in turn. */

/** The highest that QEMU's server of VNC has. Per second. */
export const RATE = 48_000;
export const CHANNELS = 2;
const SAMPLE_BYTES = 2;

/** Of both channels at one time. */
export const FRAME_BYTES = CHANNELS * SAMPLE_BYTES;

export function bytesOf(milliseconds: number): number {
  return Math.round((RATE * milliseconds) / 1000) * FRAME_BYTES;
}
