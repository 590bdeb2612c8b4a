/**
 * What happens when, for whoever measures it. Nobody listens as a rule, and then a mark costs one look at a flag.
 *
 * Marks go through `node:diagnostics_channel`, so that code in between need not hand anything on:
 *
 * - `virt-sandbox:mark`: every {@link Mark}, as it happens.
 * - `virt-sandbox:guest`: whoever listens here too has the guest asked for its clock and its kernel's log, which takes time that a start
 *   without it does not (src/sandbox/setup/inspect-guest.ts).
 */
import { channel } from 'node:diagnostics_channel';

export const MARKS = 'virt-sandbox:mark';
export const GUEST = 'virt-sandbox:guest';

export interface Mark {
  readonly name: MarkName;
  /** Of CLOCK_MONOTONIC, in nanoseconds: the same in all processes of this host. */
  readonly time: bigint;
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** In the order in which they come, as a rule. */
export type MarkName =
  | 'cli.start'
  | 'cli.parsed'
  | 'config.done'
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
  | 'qemu.console'
  | 'qemu.channel'
  | 'domain.created'
  | 'channel.sync'
  | 'ready'
  | 'plan.sent'
  | 'operation'
  | 'plan.done'
  | 'inspect.clock'
  | 'inspect.log'
  | 'inspect.done'
  | 'spawn.sent'
  | 'spawned'
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

/** Notes that this point was reached. */
export function mark(name: MarkName, detail?: Mark['detail']): void {
  if (!marks.hasSubscribers) return;
  marks.publish({ name, time: process.hrtime.bigint(), ...(detail ? { detail } : {}) } satisfies Mark);
}

/** True when the guest itself is to be asked. */
export function inspectsGuest(): boolean {
  return guest.hasSubscribers;
}
