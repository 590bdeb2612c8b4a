/**
 * Marks: named points in time, for measuring. Without a subscriber a mark costs one check of a flag.
 *
 * Marks are published through `node:diagnostics_channel`, so no code in between has to pass them on:
 *
 * - `virt-sandbox:mark`: every {@link Mark}, as it happens.
 * - `virt-sandbox:guest`: while it has a subscriber, the guest is asked for its clock and its kernel's log, which takes
 *   extra time (src/sandbox/setup/inspect-guest.ts).
 * - `virt-sandbox:picture`: while it has a subscriber, a screen is looked at until a program has drawn on it
 *   (src/sandbox/screen/first-picture.ts).
 */
import { channel } from 'node:diagnostics_channel';

export const MARKS = 'virt-sandbox:mark';
export const GUEST = 'virt-sandbox:guest';
export const PICTURE = 'virt-sandbox:picture';

export interface Mark {
  readonly name: MarkName;
  /** CLOCK_MONOTONIC in nanoseconds, which is the same in all processes of this host. */
  readonly time: bigint;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Roughly in the order in which they happen. */
export type MarkName =
  | 'cli.start'
  | 'cli.parsed'
  | 'config.done'
  | 'root.start'
  | 'root.done'
  | 'prepare.start'
  | 'connect.start'
  | 'connect.done'
  | 'image.start'
  | 'image.done'
  | 'acceleration.done'
  | 'launch.start'
  | 'listening'
  | 'domain.create'
  | 'supervisor.started'
  | 'supervisor.replaced'
  | 'qemu.console'
  | 'qemu.channel'
  | 'domain.created'
  | 'channel.sync'
  | 'ready'
  | 'plan.sent'
  | 'operation'
  | 'plan.done'
  | 'screen.start'
  | 'screen.done'
  | 'screen.seen'
  | 'inspect.clock'
  | 'inspect.log'
  | 'inspect.done'
  | 'spawn.sent'
  | 'spawned'
  | 'picture.first'
  | 'output.end'
  | 'exit'
  | 'end.start'
  | 'qemu.killed'
  | 'domain.stopped'
  | 'end.done'
  | 'connection.closed'
  | 'cli.end'
  | 'warm.chosen'
  | 'qemu.monitor'
  | 'monitor.answered'
  | 'monitor.event'
  | 'warm.filled'
  | 'warm.loaded'
  | 'machine.running'
  | 'clock.done'
  | 'container.killed'
  | 'virtiofsd.killed';

const marks = channel(MARKS);
const guest = channel(GUEST);
const picture = channel(PICTURE);

/** Publishes a mark with the present time. */
export function mark(name: MarkName, detail?: Mark['detail']): void {
  if (!marks.hasSubscribers) return;
  marks.publish({ name, time: process.hrtime.bigint(), ...(detail ? { detail } : {}) } satisfies Mark);
}

/** True if the guest is to be asked for its clock and log. */
export function inspectsGuest(): boolean {
  return guest.hasSubscribers;
}

/** True if the screen is to be looked at until a program has drawn on it. */
export function awaitsPicture(): boolean {
  return picture.hasSubscribers;
}
