/**
 * Reads QEMU's own messages from libvirt's log. libvirt does so too to explain a failed start, but only if QEMU has
 * ended. If QEMU has closed its monitor and not ended yet, libvirt reports nothing but a refused connection.
 */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { isSystemError } from '../util/errors.js';

/** libvirt's messages for a QEMU that has closed its monitor, for any reason. */
const MONITOR_CLOSED = /connect to monitor socket|read from monitor|write to monitor|End of file .*monitor/i;

/** A line from QEMU. The other lines are libvirt's: times, and QEMU's command line. */
const QEMU_LINE = /^(?:\d{4}-\S+Z )?(?:\S*\/)?qemu[\w-]*: /;

/** libvirt's message for a server of a directory that has ended. What it said is in a log of its own. */
const SERVER_DIED = /virtiofsd died unexpectedly/i;

/** Bytes to read from the end; more than QEMU writes before it gives up. */
const TAIL_BYTES = 16_384;

/**
 * Explains a failed start: libvirt's `message`, or QEMU's own lines if libvirt reports only that the monitor is gone; and
 * what servers of directories said last, each in its log, if one has ended.
 *
 * @param path The domain's log. It may be missing or unreadable.
 * @param from Where this start begins in the log, in bytes.
 * @param servers The same of the logs of servers, by their paths.
 */
export async function failureOf(
  message: string,
  path: string,
  from = 0,
  servers: ReadonlyMap<string, number> = new Map(),
): Promise<string> {
  if (SERVER_DIED.test(message)) return [message, ...(await lastLines(servers))].join('; ');
  if (!MONITOR_CLOSED.test(message) || message.split('\n').some((line) => QEMU_LINE.test(line))) return message;
  const lines = (await tail(path, from)).split('\n').filter((line) => QEMU_LINE.test(line));
  return lines.length === 0 ? message : lines.join('\n');
}

/** @param logs in which servers of directories have said something: libvirt does not say which of them has ended */
export function serverRemedy(isEnforcing: boolean, logs: readonly string[]): string {
  const where = logs.length === 0 ? '' : ` in ${logs.join(' and ')}`;
  const see = `see what it said${where}, and dmesg if it was killed`;
  return isEnforcing
    ? `see what SELinux denied: dmesg | grep avc; where its policy lets libvirt start no such server, make mounts read-only (,ro), and keep the state of a service in a disk image (--imagesize); else ${see}`
    : see;
}

async function lastLines(logs: ReadonlyMap<string, number>): Promise<string[]> {
  const lines = await Promise.all(
    [...logs].map(async ([path, from]) => {
      const line = (await tail(path, from)).trim().split('\n').at(-1)?.trim() ?? '';
      return line === '' ? [] : [`${basename(path)}: ${line}`];
    }),
  );
  return lines.flat();
}

async function tail(path: string, from: number): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const start = Math.max(from, size - TAIL_BYTES);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, start);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isSystemError(error)) return '';
    throw error;
  }
}
