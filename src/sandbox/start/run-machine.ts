/** Lets a machine run before libvirt does: libvirt starts QEMU paused, and first sends it a hundred queries. */
import type { Domain } from '../../libvirt/connection.js';
import { domainError, type MessageFacts } from '../../libvirt/errors.js';
import { type Monitor, MonitorRefusal } from '../../libvirt/monitor.js';
import { mark } from '../../util/marks.js';
import { isRecord } from '../../util/records.js';

/** Failures are ignored: libvirt lets a machine that boots run too, later, and reports why it cannot. */
export function runBooting(monitor: Monitor): void {
  void runEarly(monitor);
}

/** A machine whose snapshot is loaded. */
export interface RestoredMachine extends MessageFacts {
  /** The domain's name. */
  readonly name: string;
  /** Whether it may run before libvirt has started the domain. */
  readonly mayRunEarly: boolean;
  /** The domain, when libvirt has started it. */
  readonly started: Promise<Domain>;
}

/**
 * Lets a restored machine run. libvirt cannot say that it does not: QEMU takes an order that comes before the state is
 * loaded for a wish, answers that all is well, and carries it out later or not at all (qmp_cont in monitor/qmp-cmds.c).
 * @throws {SandboxError} why it does not run, if libvirt believes that it does
 */
export async function runRestored(monitor: Monitor, machine: RestoredMachine): Promise<void> {
  if (machine.mayRunEarly && (await runEarly(monitor)) === undefined) return;
  await machine.started;
  const reason = (await isWaiting(monitor)) ? await refusal(monitor) : undefined;
  if (reason !== undefined) throw domainError(machine.name, reason, machine);
}

function runEarly(monitor: Monitor): Promise<string | undefined> {
  return refusal(monitor, () => mark('machine.running'));
}

/** States of a machine that has not run since its state was loaded. One whose guest has ended by now has another. */
const WAITING: readonly unknown[] = ['inmigrate', 'prelaunch', 'paused'];

async function isWaiting(monitor: Monitor): Promise<boolean> {
  const answer = await monitor.execute('query-status').catch(() => undefined);
  return isRecord(answer) && WAITING.includes(answer['status']);
}

/** What QEMU has against running; undefined: nothing, or it is gone, which others notice. */
async function refusal(monitor: Monitor, onRunning = () => {}): Promise<string | undefined> {
  try {
    await monitor.execute('cont');
    onRunning();
    return undefined;
  } catch (error) {
    return error instanceof MonitorRefusal ? error.message : undefined;
  }
}
