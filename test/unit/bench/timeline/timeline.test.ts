/** From the marks of a run to its timeline: clocks, logs, stages that add up. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { align, alignByHandshake } from '../../../../src/bench/timeline/clock.js';
import { Trace, type TraceEvent } from '../../../../src/bench/timeline/marks-file.js';
import { fillGaps, length, rest, span } from '../../../../src/bench/timeline/span.js';
import { timelineOf } from '../../../../src/bench/timeline/timeline.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

describe('clocks', () => {
  it('are aligned by the shortest round trip, to within half of it', () => {
    const readings = [
      { sent: 1000, received: 1400, guest: 50 },
      { sent: 2000, received: 2100, guest: 950 },
      { sent: 3000, received: 3300, guest: 2000 },
    ];
    assert.deepEqual(align(readings), { offset: 1100, error: 50, method: 'round-trip' });
  });

  it('are aligned to within the stated error, whatever the guest did in between', () => {
    const truth = 12_345;
    for (const share of [0, 0.2, 0.9, 1]) {
      const found = align([{ sent: 20_000, received: 20_500, guest: 20_000 + 500 * share - truth }]);
      assert.ok(found && Math.abs(found.offset - truth) <= found.error + 1e-9, String(share));
    }
  });

  it('are not aligned without a reading', () => assert.equal(align([]), undefined));

  it('are aligned by the handshake to within its interval, or by the start of the machine', () => {
    assert.deepEqual(alignByHandshake(900_000, 500_000, 100_000), {
      offset: 400_000,
      error: 50_000,
      method: 'handshake',
    });
    assert.equal(alignByHandshake(900_000, 500_000, 390_000).error, 10_000);
  });
});

describe('spans', () => {
  it('with gaps between them are filled with unexplained spans', () => {
    const filled = fillGaps([span('a', 'host', 10, 20), span('b', 'host', 20, 30), span('c', 'host', 50, 60)], 0, 100);
    assert.deepEqual(
      filled.map(({ name, start, end }) => [name, start, end]),
      [
        ['unexplained', 0, 10],
        ['a', 10, 20],
        ['b', 20, 30],
        ['unexplained', 30, 50],
        ['c', 50, 60],
        ['unexplained', 60, 100],
      ],
    );
  });

  it('that overlap are an error', () => {
    assert.throws(() => fillGaps([span('a', 'host', 0, 20), span('b', 'host', 10, 30)], 0, 30), /“b” begins/);
  });

  it('have a rest that is in none of their parts', () => {
    assert.equal(rest(span('a', 'host', 0, 10)), 0);
    assert.equal(rest(span('a', 'host', 0, 10, [span('b', 'host', 1, 4), span('c', 'host', 4, 5)])), 6);
  });
});

/** A run in which every mark has a round time, in milliseconds from its start. */
function run(): Trace {
  const base = 5_000_000_000_000;
  const at = (milliseconds: number) => base + milliseconds * 1e6;
  const event = (name: string, milliseconds: number, detail: TraceEvent['detail'] = {}): TraceEvent => {
    return { name, time: at(milliseconds), detail };
  };
  const operation = (what: string, microseconds: number) =>
    event('operation', 1600, { step: 'root', operation: { op: 'mount', target: what }, microseconds });
  return new Trace([
    event('process', 5, { bootstrapComplete: at(50), wallClock: 1_700_000_000e9 }),
    ...[event('cli.start', 60), event('cli.parsed', 70), event('prepare.start', 80), event('connect.start', 81)],
    ...[event('connect.done', 100), event('image.start', 100), event('image.done', 102, { fresh: false, timings: {} })],
    ...[event('acceleration.done', 103), event('domain.create', 105), event('qemu.console', 180)],
    ...[event('domain.created', 250), event('channel.sync', 1510)],
    event('ready', 1520, {
      initStarted: 1_000_000,
      initReady: 1_200_000,
      modules: [{ name: '9p', errno: 0, microseconds: 150_000 }],
    }),
    ...[event('plan.sent', 1521), event('spawn.sent', 1522)],
    ...[operation('/newroot', 10_000), operation('/proc', 5000)],
    event('inspect.clock', 1590, { sent: at(1580), received: at(1582), guest: 1_281_000_000 }),
    ...[event('spawned', 1620), event('output.end', 1640), event('output.end', 1650), event('exit', 1660)],
    ...[event('end.start', 1661), event('qemu.killed', 1662), event('domain.stopped', 1680), event('end.done', 1690)],
    ...[event('connection.closed', 1691), event('cli.end', 1692)],
  ]);
}

const milliseconds = (microseconds: number) => Math.round(microseconds / 100) / 10;

/** The same for a warm start. libvirt finishes its start only after the application has ended. */
function warmRun(): Trace {
  const at = (milliseconds: number) => 5_000_000_000_000 + milliseconds * 1e6;
  const event = (name: string, milliseconds: number, detail: TraceEvent['detail'] = {}): TraceEvent => {
    return { name, time: at(milliseconds), detail };
  };
  // QEMU reports the time of day. The run began 5 ms before its process.
  const told = (name: string, milliseconds: number, data = {}) =>
    event('monitor.event', milliseconds + 3, {
      ...{ event: name, data, timestamp: { seconds: 1_700_000_000, microseconds: (milliseconds - 5) * 1000 } },
    });
  const until = run().events.findIndex(({ name }) => name === 'domain.create');
  const from = run().events.findIndex(({ name }) => name === 'end.start');
  return new Trace([
    ...run().events.slice(0, until),
    ...[event('warm.chosen', 104), event('domain.create', 105), event('qemu.console', 150), event('qemu.monitor', 151)],
    ...[event('monitor.answered', 204), told('MIGRATION', 205, { status: 'setup' })],
    ...[told('MIGRATION', 230, { status: 'completed' }), event('warm.loaded', 240), event('plan.sent', 245)],
    ...[told('RESUME', 255), event('machine.running', 256), event('clock.done', 260), event('spawn.sent', 261)],
    event('operation', 300, { step: 'root', operation: { op: 'mount', target: '/' }, microseconds: 9000 }),
    ...[event('spawned', 310), event('output.end', 329), event('domain.created', 400)],
    event('exit', 330, { drained: 6000, finished: 4000 }),
    ...run().events.slice(from),
  ]);
}

describe('a timeline', () => {
  const started = 5_000_000_000_000;
  const ended = started + 1_700e6;

  it('adds up to the time from execution to exit, with nothing counted twice', () => {
    const timeline = timelineOf({ trace: run(), started, ended });
    const sum = timeline.stages.reduce((total, stage) => total + length(stage), 0);
    assert.ok(Math.abs(sum - timeline.wall) < 50, `${sum} of ${timeline.wall}`);
    assert.equal(timeline.wall, 1_700_000);
    assert.deepEqual(timeline.alignment, { offset: 300_000, error: 1000, method: 'round-trip' });
    assert.equal(timeline.unexplained, 0);
  });

  it('accepts that libvirt reports the end before the kill is marked', () => {
    const early = (one: TraceEvent) => (one.name === 'domain.stopped' ? { ...one, time: started + 1661.5e6 } : one);
    const { stages } = timelineOf({ trace: new Trace(run().events.map(early)), started, ended });
    const end = stages.filter(({ start }) => start >= 1_661_000).map(({ name, start, end }) => [name, start, end]);
    assert.deepEqual(end.slice(0, 2), [
      ['power off: finding and killing QEMU', 1_661_000, 1_662_000],
      ['removing the state directory', 1_662_000, 1_690_000],
    ]);
  });

  it('places the guest between marks of the host', () => {
    const { stages } = timelineOf({ trace: run(), started, ended });
    const kernel = stages.find(({ name }) => name === 'kernel');
    const init = stages.find(({ name }) => name === 'init');
    assert.deepEqual([kernel?.start, kernel?.end], [300_000, 1_300_000]);
    assert.deepEqual([init?.start, init?.end], [1_300_000, 1_500_000]);
    assert.deepEqual(
      init?.parts.map(({ name, start, end }) => [name, start, end]),
      [['module 9p', 1_300_000, 1_450_000]],
    );
    const names = stages.map(({ name }) => name);
    assert.ok(
      names.indexOf('domain') < names.indexOf('kernel') && names.indexOf('kernel') < names.indexOf('common init'),
    );
  });

  it('shows time that no mark explains', () => {
    const trace = new Trace(run().events.filter(({ name }) => name !== 'connect.done'));
    const timeline = timelineOf({ trace, started, ended });
    assert.equal(Math.round(timeline.unexplained), 19_000);
  });

  it('shows a guest that counts instructions as one stage', () => {
    const timeline = timelineOf({ trace: run(), started, ended, countsInstructions: true });
    assert.equal(timeline.alignment, undefined);
    assert.ok(timeline.stages.some(({ name }) => name.includes('whose clock counts instructions')));
    assert.equal(timeline.unexplained, 0);
  });

  it('knows a container by its connection', () => {
    const machine = ['image.start', 'image.done', 'acceleration.done', 'qemu.console', 'qemu.killed', 'inspect.clock'];
    const events = run()
      .events.filter(({ name }) => !machine.includes(name))
      .map((event) => (event.name === 'connect.done' ? { ...event, detail: { uri: 'lxc:///' } } : event));
    const timeline = timelineOf({ trace: new Trace(events), started, ended });
    assert.equal(timeline.alignment, undefined);
    assert.equal(timeline.unexplained, 0);
    assert.ok(timeline.stages.some(({ name }) => name === 'process 1 of the container, greeting'));
    assert.ok(!timeline.stages.some(({ name }) => name.startsWith('kernel')));
  });

  it('shows a guest whose clock runs wrong as one stage', () => {
    const events = run().events.filter(({ name }) => name !== 'inspect.clock');
    const fast = events.map((event) =>
      event.name === 'ready'
        ? { ...event, detail: { initStarted: 33_000_000, initReady: 34_000_000, modules: [] } }
        : event,
    );
    const timeline = timelineOf({ trace: new Trace(fast), started, ended });
    assert.equal(timeline.alignment, undefined);
    assert.equal(timeline.unexplained, 0);
    const stage = timeline.stages.find(({ name }) => name === 'kernel and init, whose clock runs wrong');
    assert.deepEqual([stage?.start, stage?.end], [250_000, 1_520_000]);
  });

  it('of a container places its init by the clock of the host', () => {
    const ready = { initStarted: 5_000_000_000 + 150_000, initReady: 5_000_000_000 + 160_000, modules: [] };
    const machine = ['image.start', 'image.done', 'acceleration.done', 'qemu.console', 'qemu.killed', 'inspect.clock'];
    const events = run()
      .events.filter(({ name }) => !machine.includes(name))
      .map((event) => {
        if (event.name === 'connect.done') return { ...event, detail: { uri: 'lxc:///' } };
        return event.name === 'ready' ? { ...event, detail: ready } : event;
      });
    const killed = { name: 'container.killed', time: started + 1_662e6, detail: {} };
    const timeline = timelineOf({ trace: new Trace([...events, killed]), started, ended });
    assert.equal(timeline.start, 'container');
    assert.equal(timeline.unexplained, 0);
    const stage = (name: string) => timeline.stages.find((one) => one.name === name);
    assert.deepEqual([stage('init')?.start, stage('init')?.end], [150_000, 160_000]);
    assert.deepEqual(stage('libvirt reports the start')?.end, 250_000);
    assert.deepEqual(stage("the container's end, noticed by libvirt")?.start, 1_662_000);
  });

  it('of a warm start has the memory, the loading of the state and the resumption', () => {
    const timeline = timelineOf({
      trace: warmRun(),
      started,
      ended,
      qemu: {
        started: 1_700_000_000.144,
        memoryMapped: 1_700_000_000.155,
        machineMade: 1_700_000_000.16,
        running: undefined,
        kernelEntered: undefined,
      },
    });
    assert.equal(timeline.start, 'warm');
    assert.equal(timeline.unexplained, 0);
    assert.deepEqual(
      timeline.stages
        .slice(7)
        .map(({ name, where, start, end }) => [name, where, milliseconds(start), milliseconds(end)]),
      [
        ['checking the snapshot', 'host', 103, 104],
        ['state directory and sockets', 'host', 104, 105],
        ['libvirt, until QEMU runs', 'libvirt', 105, 149],
        ['QEMU maps the memory', 'qemu', 149, 160],
        ['QEMU makes the machine', 'qemu', 160, 165],
        ['QEMU makes the devices, answers the monitor', 'qemu', 165, 205],
        ['loading the state', 'qemu', 205, 240],
        ['resuming', 'qemu', 240, 255],
        ['common init', 'guest', 255, 300],
        ['starting the application', 'guest', 300, 310],
        ['application', 'guest', 310, 320],
        ['draining its output, ending other processes', 'guest', 320, 326],
        ['sync and unmount', 'guest', 326, 330],
        ['libvirt finishes the start', 'libvirt', 330, 400],
        ['noticing the exit', 'host', 400, 1661],
        ['power off: finding and killing QEMU', 'host', 1661, 1662],
        ["QEMU's end, noticed by libvirt", 'libvirt', 1662, 1680],
        ['removing the state directory', 'host', 1680, 1690],
        ['closing the connection', 'libvirt', 1690, 1691],
        ['last output', 'host', 1691, 1692],
        ['exit', 'host', 1692, 1700],
      ],
    );
    const parts = timeline.stages.find(({ name }) => name === 'loading the state')?.parts;
    assert.deepEqual(
      parts?.map(({ name, end }) => [name, milliseconds(end)]),
      [
        ['QEMU loads it', 230],
        ['noticing it', 240],
      ],
    );
  });

  it('of a screen has the compositor, and the program until it has drawn', () => {
    const marks = (
      [
        ['screen.start', 1602],
        ['screen.done', 1608],
        ['screen.seen', 1610],
        ['spawn.sent', 1611],
        ['picture.first', 1630],
      ] as const
    ).map(([name, at]) => ({ name, time: started + at * 1e6, detail: {} }));
    const others = run().events.filter(({ name }) => name !== 'spawn.sent' && name !== 'output.end');
    const exit = others.findIndex(({ name }) => name === 'exit');
    const trace = new Trace([...others.slice(0, exit), ...marks, ...others.slice(exit)]);
    const timeline = timelineOf({ trace, started, ended });
    assert.equal(timeline.picture, 1_630_000);
    assert.equal(timelineOf({ trace: run(), started, ended }).picture, undefined);
    const shown = timeline.stages
      .filter(({ start }) => start >= 1_600_000)
      .map(({ name, start, end }) => [name, start, end]);
    assert.deepEqual(shown.slice(0, 5), [
      ['names of the network, includes', 1_600_000, 1_602_000],
      ['the compositor, until it can show programs', 1_602_000, 1_608_000],
      ['looking at the empty screen', 1_608_000, 1_610_000],
      ['unexplained', 1_610_000, 1_611_000],
      ['starting the application', 1_611_000, 1_620_000],
    ]);
    assert.deepEqual(shown[5], ['application, until its first picture', 1_620_000, 1_630_000]);
  });

  it('refuses a contradiction', () => {
    const wrong = run().events.map((event) =>
      event.name === 'connect.done' ? { ...event, time: started + 200e6 } : event,
    );
    assert.throws(() => timelineOf({ trace: new Trace(wrong), started, ended }), RangeError);
  });
});

describe('a trace', () => {
  it('is read from lines; other files are refused', (t) => {
    const path = join(scratchDirectory(t), 'trace');
    writeFileSync(
      path,
      '{"name":"process","time":1}\n{"name":"ready","time":2,"detail":{"initStarted":1,"initReady":2,"modules":[]}}\n',
    );
    const trace = Trace.read(path);
    assert.deepEqual(trace.init, { started: 1, ready: 2, modules: [] });
    assert.equal(trace.first('none'), undefined);
    writeFileSync(path, '{"name":1}\n');
    assert.throws(() => Trace.read(path), /is not a trace/);
  });
});
