/**
 * Has QEMU draw what the screen shows. QEMU can write to no path of the launcher: it gets a file in memory, which it has to
 * be able to truncate, as it could not a pipe.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ScreenSize } from '../../config/types.js';
import type { Monitor } from '../../libvirt/monitor.js';
import { messageOf } from '../../util/errors.js';
import { openMemoryFile } from '../../util/memory-file.js';
import { isRecord } from '../../util/records.js';
import { screenError } from './errors.js';

/** What a PNG of the largest screen has at most: less than four bytes for each pixel, and some more for lines. */
const MOST_BYTES = 4096 * 4096 * 4;

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Until behind its size. */
const HEAD_BYTES = 24;

/**
 * @returns a PNG
 * @throws {SandboxError} `screenshot-failed`
 */
export async function takePicture(monitor: Monitor): Promise<Buffer> {
  let file: number | undefined;
  try {
    file = await openMemoryFile('virt-sandbox-picture');
    await drawScreen(monitor, file, 'png');
    return checked(contentOf(file));
  } catch (error) {
    throw pictureError(messageOf(error), error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * The size of what QEMU shows, whatever the guest says of it.
 * @throws {SandboxError} `screenshot-failed`
 */
export async function measureScreen(monitor: Monitor): Promise<ScreenSize> {
  let file: number | undefined;
  try {
    file = await openMemoryFile('virt-sandbox-picture');
    // It is drawn ten times as quickly as a PNG, and begins with its size as a text.
    await drawScreen(monitor, file, 'ppm');
    const head = Buffer.alloc(32);
    readSync(file, head, 0, head.length, 0);
    const [, width, height] = /^P6\s(\d{1,5})\s(\d{1,5})\s/.exec(head.toString('latin1')) ?? [];
    if (width === undefined) throw new Error('what came is no PPM');
    return { width: Number(width), height: Number(height) };
  } catch (error) {
    throw pictureError(messageOf(error), error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** @param picture a PNG of {@link takePicture} */
export function sizeOfPicture(picture: Buffer): ScreenSize {
  return { width: picture.readUInt32BE(PNG.length + 8), height: picture.readUInt32BE(PNG.length + 12) };
}

/** @throws {SandboxError} `screenshot-failed` */
export function checkedPicture(picture: Buffer): Buffer {
  try {
    return checked(picture);
  } catch (error) {
    throw pictureError(messageOf(error), error);
  }
}

function checked(picture: Buffer): Buffer {
  if (picture.length > HEAD_BYTES && picture.subarray(0, PNG.length).equals(PNG)) return picture;
  throw new Error(picture.length === 0 ? 'nothing came' : 'what came is no PNG');
}

function pictureError(why: string, cause: unknown) {
  return screenError(
    'screenshot-failed',
    `there is no picture of the screen: ${why}`,
    'see that the sandbox still runs, and that its QEMU is 7.1 or later, built with libpng',
    cause,
  );
}

/**
 * Has QEMU draw into a file in memory.
 * @throws {MonitorError}
 */
export async function drawScreen(monitor: Monitor, file: number, format: 'png' | 'ppm'): Promise<void> {
  // QEMU asks for a descriptor that it can only write by.
  const write = openSync(`/proc/self/fd/${file}`, constants.O_WRONLY);
  let set: unknown;
  try {
    const added = await monitor.executeWith(write, 'add-fd');
    set = isRecord(added) ? added['fdset-id'] : undefined;
  } finally {
    closeSync(write);
  }
  try {
    await monitor.execute('screendump', { filename: `/dev/fdset/${String(set)}`, format });
  } finally {
    await monitor.execute('remove-fd', { 'fdset-id': set });
  }
}

/** QEMU may write more meanwhile: no more is read than was there. */
export function contentOf(file: number): Buffer {
  const { size } = fstatSync(file);
  if (size > MOST_BYTES) throw tooLarge();
  const content = Buffer.alloc(size);
  const length = readSync(file, content, 0, size, 0);
  return content.subarray(0, length);
}

function tooLarge(): Error {
  return new Error(`it has more than ${MOST_BYTES} bytes`);
}

/** Reads to the end of what is sent. */
export function readAll(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > MOST_BYTES) socket.destroy(tooLarge());
      else chunks.push(chunk);
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(Buffer.concat(chunks)));
  });
}
