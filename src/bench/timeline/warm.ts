/**
 * Stages of a warm start, from the request for a domain to the running machine. All times are the host's: the guest's
 * clock says nothing about a restore.
 */
import type { QemuLog } from './qemu-log.js';
import { span } from './span.js';
import type { Stages } from './stages.js';

export function warmStages(stages: Stages, qemu: QemuLog | undefined): void {
  const create = stages.at('domain.create');
  const loaded = stages.at('warm.loaded');
  if (create === undefined || loaded === undefined) return;
  const connected = (['qemu.console', 'qemu.channel', 'qemu.monitor'] as const)
    .map((name) => stages.at(name))
    // The launcher may notice the connection later than QEMU made it.
    .concat(stages.ofDay(qemu?.started))
    .filter((time) => time !== undefined);
  const first = connected.length > 0 ? Math.min(...connected) : create;
  stages.add('libvirt, until QEMU runs', 'libvirt', create, first);

  const begun = within(stages.told('MIGRATION', 'setup') ?? stages.at('monitor.answered'), first, loaded);
  // A copy of the memory is written after QEMU has made the machine and before it loads the state.
  const isCopied = stages.at('warm.filled') !== undefined;
  const made = isCopied ? within(stages.at('monitor.answered'), first, begun) : begun;
  if (qemu?.memoryMapped === undefined) {
    stages.add('QEMU maps the memory and makes the machine', 'qemu', first, made);
  } else {
    const mapped = within(stages.ofDay(qemu.memoryMapped), first, made);
    const bare = within(stages.ofDay(qemu.machineMade), mapped, made);
    stages.add('QEMU maps the memory', 'qemu', first, mapped);
    stages.add('QEMU makes the machine', 'qemu', mapped, bare);
    stages.add('QEMU makes the devices, answers the monitor', 'qemu', bare, made);
  }
  if (isCopied) stages.add('writing its memory', 'host', made, begun);

  const done = within(stages.told('MIGRATION', 'completed'), begun, loaded);
  stages.add('loading the state', 'qemu', begun, loaded, [
    span('QEMU loads it', 'qemu', begun, done),
    span('noticing it', 'host', done, loaded),
  ]);
  // The plan is sent before the machine runs, so that it is there at once.
  const running = stages.running;
  const sent = stages.at('plan.sent');
  const resumes = sent === undefined ? [] : [span('making the plan', 'host', loaded, sent)];
  if (running !== undefined) stages.add('resuming', 'qemu', loaded, Math.max(running, sent ?? 0), resumes);
}

/** Clamps a time to its surroundings: two clocks differ by a little. */
function within(time: number | undefined, earliest: number, latest: number): number {
  return Math.min(Math.max(time ?? latest, earliest), latest);
}
