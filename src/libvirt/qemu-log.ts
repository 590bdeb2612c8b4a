/**
 * What QEMU itself said, from the log that libvirt keeps of it. libvirt reads that log to say why a start failed, but only once QEMU is gone: where
 * QEMU has let go of its monitor and has not quite ended, libvirt knows of a refused connection and nothing else.
 */
import { open } from 'node:fs/promises';
import { isSystemError } from '../util/errors.js';

/** libvirt's words for a QEMU that has left its monitor, whatever the reason. */
const MONITOR_LEFT = /connect to monitor socket|read from monitor|write to monitor|End of file .*monitor/i;

/** A line of QEMU's; what libvirt adds to the log are its own times and the command line. */
const QEMU_LINE = /^(?:\d{4}-\S+Z )?(?:\S*\/)?qemu[\w-]*: /;

/** More than QEMU says before it gives up, in bytes. */
const MOST = 16_384;

/**
 * libvirt's message of a start that failed, or QEMU's own lines in its place where libvirt knows no more than that the monitor is lost.
 * @param path the log of the domain; it may be missing, or not ours to read
 * @param from where in the log this start begins, in bytes
 */
export async function failureOf(message: string, path: string, from = 0): Promise<string> {
  if (!MONITOR_LEFT.test(message) || message.split('\n').some((line) => QEMU_LINE.test(line))) return message;
  const lines = (await tail(path, from)).split('\n').filter((line) => QEMU_LINE.test(line));
  return lines.length === 0 ? message : lines.join('\n');
}

async function tail(path: string, from: number): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const start = Math.max(from, size - MOST);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MOST), 0, MOST, start);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isSystemError(error)) return '';
    throw error;
  }
}
