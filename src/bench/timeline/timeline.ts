/** The timeline of a run, from execution to exit: stages one after the other on one clock, with their parts. */
import type { Alignment } from './clock.js';
import { coldStages } from './cold.js';
import { containerStages } from './container.js';
import type { Trace } from './marks-file.js';
import type { QemuLog } from './qemu-log.js';
import { fillGaps, length, rest, type Span, sequence, span, within } from './span.js';
import { Stages } from './stages.js';
import { warmStages } from './warm.js';

export interface Timeline {
  /** A booted machine, a machine restored from a snapshot, or a container; absent in older files. */
  readonly start?: 'cold' | 'warm' | 'container' | undefined;
  /** From just before the program was executed until it was gone, in microseconds. */
  readonly wall: number;
  /** When a program had drawn on the screen, in microseconds; absent where none did, and where there is no screen. */
  readonly picture?: number | undefined;
  readonly stages: readonly Span[];
  /**
   * Where the guest's clock lies on the host's. Undefined if no stage was placed by the guest's clock, or if it is the
   * host's.
   */
  readonly alignment: Alignment | undefined;
  /** Time in no stage, in microseconds. */
  readonly unexplained: number;
  /** Time that only measuring cost, in microseconds. */
  readonly measuring: number;
  /** Time within stages that have parts, but in none of the parts, in microseconds. */
  readonly rest: number;
  /** All exits to KVM by the names of its counters, where they were counted. */
  readonly exits?: Readonly<Record<string, number>>;
  /** The longest time between two readings of the counters, in microseconds: within it exits are spread evenly. */
  readonly exitsApart?: number;
}

export interface TimelineInputs {
  readonly trace: Trace;
  /** Just before the program was executed, and just after it was gone: CLOCK_MONOTONIC in nanoseconds. */
  readonly started: number;
  readonly ended: number;
  readonly qemu?: QemuLog | undefined;
  /** Shorter parts of the kernel's stage are not shown, in microseconds; default 2000. */
  readonly threshold?: number;
  /** True under -icount, where the guest's clock is unrelated to the host's. */
  readonly countsInstructions?: boolean;
}

const THRESHOLD = 2000;
/** Shorter stages are just the way from one mark to the next, in microseconds. */
const NEGLIGIBLE = 200;

const COMPOSITOR = 'the compositor, until it can show programs';

/** @throws {RangeError} when measured times contradict each other */
export function timelineOf(inputs: TimelineInputs): Timeline {
  const { trace, started, ended, qemu, threshold = THRESHOLD, countsInstructions = false } = inputs;
  const wall = (ended - started) / 1000;
  const stages = new Stages(trace, started);
  const { start } = stages;
  let alignment: Alignment | undefined;
  launcher(stages);
  if (start === 'container') containerStages(stages);
  else if (start === 'warm') warmStages(stages, qemu);
  else alignment = coldStages(stages, { qemu, threshold, countsInstructions });
  application(stages);
  teardown(stages, wall);
  const filled = fillGaps(stages.spans, 0, wall);
  const sum = (where: Span['where']) =>
    filled.filter((one) => one.where === where).reduce((total, one) => total + length(one), 0);
  const picture = stages.at('picture.first');
  return {
    start,
    wall,
    ...(picture === undefined ? {} : { picture }),
    stages: filled,
    alignment,
    unexplained: sum('unexplained'),
    measuring: sum('measuring'),
    rest: filled.reduce((total, one) => total + rest(one), 0),
  };
}

/** From execution to the request for a domain. */
function launcher(stages: Stages): void {
  const process = stages.trace.first('process');
  const main = stages.at('cli.start');
  if (process && main !== undefined) {
    const node = stages.time(process.time);
    const up = stages.time(Number(process.detail['bootstrapComplete']));
    stages.add('start of the program', 'host', 0, main, [
      span('executing node', 'host', 0, node),
      span('Node.js', 'host', node, up),
      span('loading the program', 'host', up, main),
    ]);
  }
  stages.between('command line', 'host', 'cli.start', 'cli.parsed');
  stages.between('config', 'host', 'cli.parsed', 'prepare.start');
  stages.between('checking the host, profile', 'host', 'prepare.start', 'connect.start');
  stages.between('connecting to libvirt', 'libvirt', 'connect.start', 'connect.done');
  image(stages);
  stages.between('choosing the acceleration', 'host', 'image.done', 'acceleration.done');
  stages.between('checking the snapshot', 'host', 'acceleration.done', 'warm.chosen');
  // A container has no image and no acceleration.
  const prepared = stages.at('warm.chosen') ?? stages.at('acceleration.done') ?? stages.at('connect.done');
  const create = stages.at('domain.create');
  if (prepared !== undefined && create !== undefined)
    stages.add('state directory and sockets', 'host', prepared, create);
}

function image(stages: Stages): void {
  const done = stages.trace.first('image.done');
  const fresh = done?.detail['fresh'] === true;
  const timings = (done?.detail['timings'] ?? {}) as Readonly<Record<string, number>>;
  const told = Object.entries(timings).map(([part, milliseconds]) => `${part} ${milliseconds.toFixed(0)} ms`);
  const note = fresh ? `some of it at the same time: ${told.join(', ')}` : undefined;
  const name = stages.start === 'warm' ? 'finding the image and the snapshot' : 'finding the image';
  stages.between(fresh ? 'building the image' : name, 'host', 'image.start', 'image.done', [], note);
}

/** From the guest's greeting to the end of the application. */
function application(stages: Stages): void {
  plan(stages);
  stages.between('asking the guest for its clock and log', 'measuring', 'operation.last', 'inspect.done');
  // The launcher sends the request while the plan still runs; it waits its turn.
  const asked = stages.at('spawn.sent');
  const spawned = stages.at('spawned');
  if (asked !== undefined && spawned !== undefined) {
    const planned = stages.at('operation.last') ?? 0;
    const clock = stages.at('clock.done') ?? 0;
    if (stages.at('inspect.done') === undefined && clock - planned > NEGLIGIBLE)
      stages.add('setting the clock again', 'guest', planned, clock);
    const before = Math.max(stages.end, planned);
    const named = stages.at('screen.start') ?? asked;
    if (named - before > NEGLIGIBLE) stages.add('names of the network, includes', 'guest', before, named);
    stages.between(COMPOSITOR, 'guest', 'screen.start', 'screen.done');
    stages.between('looking at the empty screen', 'measuring', 'screen.done', 'screen.seen');
    stages.add('starting the application', 'guest', Math.max(asked, before), spawned);
  }
  ending(stages);
}

/**
 * The init reports how long it took after the application's end. An older init does not; then only the end of the
 * output is known.
 */
function ending(stages: Stages): void {
  const spawned = stages.at('spawned');
  const exit = stages.at('exit');
  const { drained, finished } = stages.trace.first('exit')?.detail ?? {};
  if (spawned === undefined || exit === undefined) return;
  const picture = stages.at('picture.first');
  if (picture !== undefined) stages.add('application, until its first picture', 'guest', spawned, picture);
  const begun = picture ?? spawned;
  if (typeof drained !== 'number' || typeof finished !== 'number') {
    const output = stages.at('output.last');
    if (output !== undefined) stages.add('application, to the end of its output', 'guest', begun, output);
    stages.add('ending other processes, sync and unmount', 'guest', Math.max(begun, output ?? 0), exit);
    return;
  }
  // The end of a very short application may be reported together with its start.
  const synced = Math.max(begun, exit - finished);
  const ended = Math.max(begun, synced - drained);
  stages.add(picture === undefined ? 'application' : 'application, until it is ended', 'guest', begun, ended);
  stages.add('draining its output, ending other processes', 'guest', ended, synced);
  stages.add('sync and unmount', 'guest', synced, exit);
}

function plan(stages: Stages): void {
  const sent = stages.at('plan.sent');
  const last = stages.at('operation.last');
  if (sent === undefined || last === undefined) return;
  const warm = stages.start === 'warm';
  const ready = stages.at('ready');
  if (ready !== undefined) stages.add('network, disks, making the plan', 'guest', ready, sent);
  // A restored machine has the plan before it runs.
  const start = warm ? stages.end : sent;
  const parts = sequence(
    start,
    stages.trace.operations.map(({ step, what, microseconds }) => [`${step}: ${what}`, microseconds] as const),
  );
  const note = 'operations are placed one behind the other; the rest is the channel';
  stages.add('common init', 'guest', start, last, within(parts, last), note);
}

/** From the application's end to the end of the program. */
function teardown(stages: Stages, wall: number): void {
  const exit = stages.at('exit');
  const created = stages.at('domain.created');
  const end = stages.at('end.start');
  if (exit !== undefined && end !== undefined) {
    // A restored machine may be done before libvirt has finished its start.
    const heard = Math.max(exit, stages.end);
    const hears = Math.min(Math.max(heard, created ?? heard), end);
    stages.add('libvirt finishes the start', 'libvirt', heard, hears);
    stages.add('noticing the exit', 'host', hears, end);
  }
  const container = stages.start === 'container';
  const killed = stages.at(container ? 'container.killed' : 'qemu.killed');
  const stopped = stages.at('domain.stopped');
  const done = stages.at('end.done');
  const what = container ? 'the container' : 'QEMU';
  if (end !== undefined && killed !== undefined && stopped !== undefined && done !== undefined) {
    // libvirt may report the end before the launcher marks that it killed the process.
    const noticedAt = Math.max(killed, stopped);
    stages.add(`power off: finding and killing ${what}`, 'host', end, killed);
    const noticed = container ? "the container's end, noticed by libvirt" : "QEMU's end, noticed by libvirt";
    stages.add(noticed, 'libvirt', killed, noticedAt);
    stages.add('removing the state directory', 'host', noticedAt, done);
  } else {
    stages.between(`the end of ${what}, removing the state directory`, 'libvirt', 'end.start', 'end.done');
  }
  stages.between('closing the connection', 'libvirt', 'end.done', 'connection.closed');
  stages.between('last output', 'host', 'connection.closed', 'cli.end');
  const left = stages.at('cli.end');
  if (left !== undefined) stages.add('exit', 'host', left, wall);
}
