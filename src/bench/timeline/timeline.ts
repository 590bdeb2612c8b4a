/** A run from its execution to its exit on one clock: stages that follow one another, with what each is made of. */
import type { MarkName } from '../../marks.js';
import { type Alignment, align, alignByHandshake, type ClockReading } from './clock.js';
import { type KernelLog, parseKernelLog } from './kernel-log.js';
import { kernelParts } from './kernel-parts.js';
import type { QemuLog } from './qemu-log.js';
import { fillGaps, length, rest, type Span, sequence, span, type Where, within } from './span.js';
import type { Trace } from './trace.js';

export interface Timeline {
  /** From before the program was executed until it was gone, in microseconds. */
  readonly wall: number;
  readonly stages: readonly Span[];
  /** How the guest's clock lies on the host's; undefined where the guest's clock counts instructions, or there was no guest. */
  readonly alignment: Alignment | undefined;
  /** In no stage, in microseconds. */
  readonly unexplained: number;
  /** What only measuring has cost, in microseconds. */
  readonly measuring: number;
  /** Within stages that are broken down, in none of their parts, in microseconds. */
  readonly rest: number;
}

export interface TimelineInputs {
  readonly trace: Trace;
  /** Just before the program was executed, and just after it was gone: CLOCK_MONOTONIC in nanoseconds. */
  readonly started: number;
  readonly ended: number;
  readonly qemu?: QemuLog | undefined;
  /** What takes less is not shown by itself, in microseconds. */
  readonly threshold?: number;
  /** True under -icount: then the guest's clock stands in no relation to the host's. */
  readonly countsInstructions?: boolean;
}

const THRESHOLD = 2000;

/** A mark is the first of its kind; these two are the last. */
type Moment = MarkName | 'operation.last' | 'output.last';

/** @throws {RangeError} when what was measured contradicts itself */
export function timelineOf(inputs: TimelineInputs): Timeline {
  const { started, ended } = inputs;
  const wall = (ended - started) / 1000;
  const builder = new Builder(inputs);
  const stages = fillGaps(builder.stages(), 0, wall);
  const sum = (where: Where) =>
    stages.filter((one) => one.where === where).reduce((total, one) => total + length(one), 0);
  return {
    wall,
    stages,
    alignment: builder.alignment,
    unexplained: sum('unexplained'),
    measuring: sum('measuring'),
    rest: stages.reduce((total, one) => total + rest(one), 0),
  };
}

class Builder {
  readonly alignment: Alignment | undefined;
  readonly #trace: Trace;
  readonly #started: number;
  readonly #ended: number;
  readonly #qemu: QemuLog | undefined;
  readonly #log: KernelLog | undefined;
  readonly #threshold: number;
  readonly #stages: Span[] = [];

  constructor(inputs: TimelineInputs) {
    const { trace, started, ended, qemu, threshold = THRESHOLD, countsInstructions = false } = inputs;
    this.#trace = trace;
    this.#started = started;
    this.#ended = ended;
    this.#qemu = qemu;
    this.#threshold = threshold;
    const text = trace.first('inspect.log')?.detail['text'];
    this.#log = typeof text === 'string' ? parseKernelLog(text) : undefined;
    this.alignment = countsInstructions ? undefined : this.#align();
  }

  stages(): Span[] {
    this.#launcher();
    this.#machine();
    this.#guest();
    this.#end();
    return this.#stages;
  }

  /** From the execution to the wish for a domain. */
  #launcher(): void {
    const process = this.#trace.first('process');
    const main = this.#at('cli.start');
    if (process && main !== undefined) {
      const node = this.#time(process.time);
      const up = this.#time(Number(process.detail['bootstrapComplete']));
      this.#add('start of the program', 'host', 0, main, [
        span('executing node', 'host', 0, node),
        span('Node.js', 'host', node, up),
        span('loading the program', 'host', up, main),
      ]);
    }
    this.#between('command line', 'host', 'cli.start', 'cli.parsed');
    this.#between('config', 'host', 'cli.parsed', 'prepare.start');
    this.#between('looking at the host, profile', 'host', 'prepare.start', 'connect.start');
    this.#between('connecting to libvirt', 'libvirt', 'connect.start', 'connect.done');
    this.#image();
    this.#between('choosing the acceleration', 'host', 'image.done', 'acceleration.done');
    // A container has no image, and nothing that would be accelerated.
    const prepared = this.#isContainer ? 'connect.done' : 'acceleration.done';
    this.#between('state directory and sockets', 'host', prepared, 'domain.create');
  }

  #image(): void {
    const done = this.#trace.first('image.done');
    const fresh = done?.detail['fresh'] === true;
    const timings = (done?.detail['timings'] ?? {}) as Readonly<Record<string, number>>;
    const told = Object.entries(timings).map(([part, milliseconds]) => `${part} ${milliseconds.toFixed(0)} ms`);
    const note = fresh ? `some of it at the same time: ${told.join(', ')}` : undefined;
    this.#between(fresh ? 'building the image' : 'finding the image', 'host', 'image.start', 'image.done', [], note);
  }

  /** From the wish for a domain to the guest's first instruction in the kernel. */
  #machine(): void {
    const create = this.#at('domain.create');
    const created = this.#at('domain.created');
    if (create === undefined || created === undefined) return;
    const made = this.#ofDay(this.#qemu?.machineMade);
    const running = this.#ofDay(this.#qemu?.running) ?? created;
    const console = this.#at('qemu.console');
    const parts: Span[] = [];
    const connected = [console, made].filter((time) => time !== undefined);
    if (connected.length > 0) {
      const first = Math.min(...connected);
      const last = Math.max(...connected);
      parts.push(span('libvirt, until QEMU runs', 'libvirt', create, first));
      if (last > first) parts.push(span('QEMU makes the machine', 'qemu', first, last));
      if (running > last) parts.push(span('libvirt sets QEMU up, QEMU resets the machine', 'libvirt', last, running));
    }
    this.#add('domain', 'libvirt', create, running, parts);
    const entered = this.#ofDay(this.#qemu?.kernelEntered);
    const zero = this.alignment?.offset;
    if (entered !== undefined) this.#add('firmware, loading the kernel', 'guest', running, entered);
    if (zero !== undefined && zero > running) {
      const [name, from] =
        entered === undefined
          ? (['firmware, and the kernel before its clock', running] as const)
          : (['kernel, before its clock', entered] as const);
      this.#add(name, 'guest', from, zero);
    }
  }

  /** From the kernel's clock to the application. */
  #guest(): void {
    const { init } = this.#trace;
    const { alignment } = this;
    const ready = this.#at('ready');
    if (!init || ready === undefined) return;
    if (this.#isContainer) {
      this.#add('process 1 of the container, greeting', 'guest', this.#stages.at(-1)?.end ?? 0, ready);
    } else if (alignment === undefined) {
      const running = this.#stages.at(-1)?.end ?? 0;
      this.#add('kernel and init, whose clock counts instructions', 'guest', running, ready);
    } else {
      const place = (microseconds: number) => microseconds + alignment.offset;
      const started = place(init.started);
      const zero = Math.max(place(0), this.#stages.at(-1)?.end ?? 0);
      this.#add('kernel', 'guest', zero, started, this.#kernelParts(place, zero, started));
      const parts = sequence(
        started,
        init.modules.map(({ name, microseconds }) => [`module ${name}`, microseconds] as const),
      );
      const initReady = Math.min(place(init.ready), ready);
      this.#add(
        'init',
        'guest',
        started,
        initReady,
        within(parts, initReady),
        'modules are placed one behind the other',
      );
      this.#add('greeting', 'guest', initReady, ready);
    }
    this.#plan();
    this.#between('asking the guest for its clock and log', 'measuring', 'operation.last', 'inspect.done');
    // It is asked for while the plan is being carried out, and waits its turn.
    const asked = this.#at('spawn.sent');
    const spawned = this.#at('spawned');
    if (asked !== undefined && spawned !== undefined) {
      const before = Math.max(this.#at('operation.last') ?? 0, this.#at('inspect.done') ?? 0);
      if (asked - before > 200) this.#add('names of the network, includes', 'guest', before, asked);
      const turn = Math.max(asked, this.#at('operation.last') ?? 0);
      this.#add('starting the application', 'guest', turn, spawned);
    }
    const drained = this.#trace.last('output.end');
    if (drained) this.#between('application, to the end of its output', 'guest', 'spawned', 'output.last');
  }

  #kernelParts(place: (microseconds: number) => number, start: number, end: number): Span[] {
    const shift = this.#log?.toMonotonic?.microseconds;
    if (!this.#log || shift === undefined) return [];
    const times = { place: (seconds: number) => place(seconds * 1e6 + shift), start, end, threshold: this.#threshold };
    return kernelParts(this.#log, times);
  }

  #plan(): void {
    const sent = this.#at('plan.sent');
    const last = this.#at('operation.last');
    if (sent === undefined || last === undefined) return;
    const ready = this.#at('ready');
    if (ready !== undefined) this.#add('network, disks, making the plan', 'guest', ready, sent);
    const parts = sequence(
      sent,
      this.#trace.operations.map(({ step, what, microseconds }) => [`${step}: ${what}`, microseconds] as const),
    );
    this.#add(
      'common init',
      'guest',
      sent,
      last,
      within(parts, last),
      'operations are placed one behind the other; the rest is the channel',
    );
  }

  /** From the application's end to that of the program. */
  #end(): void {
    // Of an application that ends at once the output's end may be heard of before its start.
    const begun = this.#at('spawned');
    const exit = this.#at('exit');
    if (begun !== undefined && exit !== undefined) {
      const drained = Math.max(begun, this.#at('output.last') ?? 0);
      this.#add('ending what is left, sync and unmount', 'guest', drained, exit);
    }
    this.#between('hearing of it', 'host', 'exit', 'end.start');
    const killed = this.#at('qemu.killed');
    const stopped = this.#at('domain.stopped');
    if (killed !== undefined && stopped !== undefined) {
      this.#between('power off: finding and killing QEMU', 'host', 'end.start', 'qemu.killed');
      this.#between("QEMU's end, and libvirt's notice of it", 'libvirt', 'qemu.killed', 'domain.stopped');
      this.#between('removing the state directory', 'host', 'domain.stopped', 'end.done');
    } else {
      this.#between("QEMU's end, and removing the state directory", 'libvirt', 'end.start', 'end.done');
    }
    this.#between('closing the connection', 'libvirt', 'end.done', 'connection.closed');
    this.#between('last output', 'host', 'connection.closed', 'cli.end');
    const left = this.#at('cli.end');
    if (left !== undefined) this.#add('exit', 'host', left, (this.#ended - this.#started) / 1000);
  }

  #add(name: string, where: Where, start: number, end: number, parts: readonly Span[] = [], note?: string): void {
    if (end > start) this.#stages.push(span(name, where, start, end, parts, note));
  }

  #between(name: string, where: Where, from: Moment, to: Moment, parts: readonly Span[] = [], note?: string): void {
    const start = this.#at(from);
    const end = this.#at(to);
    if (start !== undefined && end !== undefined) this.#add(name, where, start, end, parts, note);
  }

  /** When an event came. */
  #at(name: Moment): number | undefined {
    const event =
      name === 'operation.last'
        ? this.#trace.last('operation')
        : name === 'output.last'
          ? this.#trace.last('output.end')
          : this.#trace.first(name);
    return event && this.#time(event.time);
  }

  #time(nanoseconds: number): number {
    return (nanoseconds - this.#started) / 1000;
  }

  /** From seconds of the time of day. */
  #ofDay(seconds: number | undefined): number | undefined {
    const process = this.#trace.first('process');
    if (seconds === undefined || !process) return undefined;
    return this.#time(process.time + (seconds * 1e9 - Number(process.detail['wallClock'])));
  }

  get #isContainer(): boolean {
    return String(this.#trace.first('connect.done')?.detail['uri']).startsWith('lxc:');
  }

  #align(): Alignment | undefined {
    if (this.#isContainer) return undefined;
    const readings = this.#trace.all('inspect.clock').flatMap(({ detail }): ClockReading[] => {
      const { sent, received, guest } = detail;
      if (typeof guest !== 'number') return [];
      return [{ sent: this.#time(Number(sent)), received: this.#time(Number(received)), guest: guest / 1000 }];
    });
    const { init } = this.#trace;
    const heard = this.#at('channel.sync');
    const created = this.#at('domain.created');
    if (!init || heard === undefined || created === undefined) return undefined;
    return align(readings) ?? alignByHandshake(heard, init.ready, created);
  }
}
