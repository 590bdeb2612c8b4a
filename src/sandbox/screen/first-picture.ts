/** Finds out when a program has first drawn on the screen. Only for starts that are measured. */
import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Monitor, MonitorError } from '../../libvirt/monitor.js';
import { mark } from '../../util/marks.js';
import { openMemoryFile } from '../../util/memory-file.js';
import { contentOf, drawScreen } from './picture.js';

/** Between two looks, in milliseconds: so late a picture may be noticed. */
const LOOK_MS = 20;

/** A colour of a pixel, in a picture of the kind that QEMU draws fastest. */
const PIXEL_BYTES = 3;

/**
 * Publishes the mark `picture.first` when the screen shows neither what it showed at the call nor one colour, as an empty
 * compositor does. Call it when programs can be shown, and start them when it has resolved: it has looked then. It goes on
 * looking until the machine ends.
 */
export async function awaitPicture(monitor: Monitor): Promise<void> {
  const file = await openMemoryFile('virt-sandbox-first-picture');
  const look = async () => {
    await drawScreen(monitor, file, 'ppm');
    return contentOf(file);
  };
  const before = await look().catch((error: unknown) => {
    closeSync(file);
    throw error;
  });
  mark('screen.seen');
  void untilAnother(before, look).finally(() => closeSync(file));
}

async function untilAnother(before: Buffer, look: () => Promise<Buffer>): Promise<void> {
  try {
    for (let now = before; now.equals(before) || isOneColour(now); now = await look()) await delay(LOOK_MS);
    mark('picture.first');
  } catch (error) {
    // A program that has ended before has drawn nothing.
    if (!(error instanceof MonitorError)) throw error;
  }
}

/** @param picture a PPM: three lines of text, and the pixels */
export function isOneColour(picture: Buffer): boolean {
  let at = 0;
  for (let line = 0; line < 3; line += 1) at = picture.indexOf('\n', at) + 1;
  const pixels = picture.subarray(at);
  return pixels.subarray(PIXEL_BYTES).equals(pixels.subarray(0, -PIXEL_BYTES));
}
