/** Stages of a cold start: from the request for a domain to the greeting of the guest's init. */
import { type Alignment, align, alignByHandshake, type ClockReading } from './clock.js';
import { type KernelLog, parseKernelLog } from './kernel-log.js';
import { kernelParts } from './kernel-parts.js';
import type { QemuLog } from './qemu-log.js';
import { type Span, sequence, span, within } from './span.js';
import type { Stages } from './stages.js';

export interface ColdInputs {
  readonly qemu: QemuLog | undefined;
  /** Shorter parts are not shown, in microseconds. */
  readonly threshold: number;
  readonly countsInstructions: boolean;
}

/** Adds the stages. @returns where the guest's clock lies on the host's; undefined if that cannot be said */
export function coldStages(stages: Stages, inputs: ColdInputs): Alignment | undefined {
  const alignment = inputs.countsInstructions ? undefined : alignmentOf(stages);
  machine(stages, inputs.qemu, alignment);
  return guest(stages, inputs.threshold, alignment) ? alignment : undefined;
}

/** From the request for a domain to the guest's first instruction in the kernel. */
function machine(stages: Stages, qemu: QemuLog | undefined, alignment: Alignment | undefined): void {
  const create = stages.at('domain.create');
  const told = stages.running;
  if (create === undefined || told === undefined) return;
  const made = stages.ofDay(qemu?.machineMade);
  const running = stages.ofDay(qemu?.running) ?? told;
  const console = stages.at('qemu.console');
  const begun = stages.ofDay(qemu?.started);
  const parts: Span[] = [];
  const known = [begun, console, made].filter((time) => time !== undefined);
  if (known.length > 0) {
    const first = Math.min(...known);
    const last = made ?? Math.max(...known);
    parts.push(span('libvirt, until QEMU runs', 'libvirt', create, first));
    if (last > first) parts.push(span('QEMU makes the machine', 'qemu', first, last));
    if (running > last) parts.push(span('QEMU resets the machine, and is told to run it', 'qemu', last, running));
  }
  stages.add('domain', 'libvirt', create, running, parts);
  const entered = stages.ofDay(qemu?.kernelEntered);
  const zero = alignment?.offset;
  if (entered !== undefined) stages.add('firmware, loading the kernel', 'guest', running, entered);
  if (zero !== undefined && zero > running) {
    const [name, from] =
      entered === undefined
        ? (['firmware, and the kernel before its clock', running] as const)
        : (['kernel, before its clock', entered] as const);
    stages.add(name, 'guest', from, zero);
  }
}

/**
 * From the zero of the kernel's clock to the greeting.
 * @returns false if the guest's clock is useless. A kernel that calibrates its timers on a busy host takes them for
 *   faster than they are.
 */
function guest(stages: Stages, threshold: number, alignment: Alignment | undefined): boolean {
  const { init } = stages.trace;
  const ready = stages.at('ready');
  if (!init || ready === undefined) return true;
  if (alignment === undefined) {
    stages.until('kernel and init, whose clock counts instructions', 'guest', ready);
    return true;
  }
  const toRun = (microseconds: number) => microseconds + alignment.offset;
  const started = toRun(init.started);
  const isEarly = alignment.offset + alignment.error < (stages.at('domain.create') ?? 0);
  if (isEarly || started < stages.end) {
    stages.until('kernel and init, whose clock runs wrong', 'guest', ready);
    return false;
  }
  const zero = Math.max(toRun(0), stages.end);
  stages.add('kernel', 'guest', zero, started, logged(stages, { toRun, start: zero, end: started, threshold }));
  const parts = sequence(
    started,
    init.modules.map(({ name, microseconds }) => [`module ${name}`, microseconds] as const),
  );
  const initReady = Math.min(toRun(init.ready), ready);
  stages.add('init', 'guest', started, initReady, within(parts, initReady), 'modules are placed one behind the other');
  stages.add('greeting', 'guest', initReady, ready);
  return true;
}

interface KernelStage {
  /** Converts microseconds of the guest's monotonic clock to microseconds of the run. */
  readonly toRun: (microseconds: number) => number;
  readonly start: number;
  readonly end: number;
  readonly threshold: number;
}

function logged(stages: Stages, { toRun, ...times }: KernelStage): Span[] {
  const log = kernelLog(stages);
  const shift = log?.toMonotonic?.microseconds;
  if (log === undefined || shift === undefined) return [];
  return kernelParts(log, { ...times, toRun: (seconds) => toRun(seconds * 1e6 + shift) });
}

function kernelLog(stages: Stages): KernelLog | undefined {
  const text = stages.trace.first('inspect.log')?.detail['text'];
  return typeof text === 'string' ? parseKernelLog(text) : undefined;
}

function alignmentOf(stages: Stages): Alignment | undefined {
  const readings = stages.trace.all('inspect.clock').flatMap(({ detail }): ClockReading[] => {
    const { sent, received, guest: told } = detail;
    if (typeof told !== 'number') return [];
    return [{ sent: stages.time(Number(sent)), received: stages.time(Number(received)), guest: told / 1000 }];
  });
  const { init } = stages.trace;
  const heard = stages.at('channel.sync');
  const { running } = stages;
  if (!init || heard === undefined || running === undefined) return undefined;
  const alignment = align(readings) ?? alignByHandshake(heard, init.ready, running);
  // Times of the kernel's log add the error between that log and the guest's clock.
  return { ...alignment, error: alignment.error + (kernelLog(stages)?.toMonotonic?.error ?? 0) };
}
