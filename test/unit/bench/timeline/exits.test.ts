/** Readings of KVM's counters become exits of stages. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kindsText, withExits } from '../../../../src/bench/timeline/exits.js';
import { span } from '../../../../src/bench/timeline/span.js';
import type { Timeline } from '../../../../src/bench/timeline/timeline.js';

const STARTED = 7_000_000_000;

/** A reading so many milliseconds after the start. */
const reading = (milliseconds: number, exits: number, io: number) => ({
  time: STARTED + milliseconds * 1e6,
  exits: { exits, io_exits: io },
});

const timeline: Timeline = {
  wall: 100_000,
  stages: [
    span('start', 'host', 0, 40_000),
    span('kernel', 'guest', 40_000, 80_000, [span('pci', 'guest', 50_000, 60_000)]),
    span('end', 'libvirt', 80_000, 100_000),
  ],
  ...{ alignment: undefined, unexplained: 0, measuring: 0, rest: 0 },
};

describe('exits', () => {
  const readings = [reading(40, 0, 0), reading(50, 100, 10), reading(60, 500, 410), reading(80, 520, 420)];

  it('of a stage and of its parts are the difference of two readings, and none before the machine is there', () => {
    const { stages, exits } = withExits(timeline, readings, STARTED);
    assert.deepEqual(exits, { exits: 520, io_exits: 420 });
    assert.deepEqual(
      stages.map((one) => [one.name, one.exits, one.parts.map((part) => part.exits)]),
      [
        ['start', undefined, []],
        ['kernel', { exits: 520, io_exits: 420 }, [{ exits: 400, io_exits: 400 }]],
        // QEMU is gone, and its counts stay.
        ['end', undefined, []],
      ],
    );
  });

  it('between two readings grow evenly, and it is said how far these are apart', () => {
    const { stages, exitsApart } = withExits(timeline, [reading(40, 0, 0), reading(80, 400, 40)], STARTED);
    assert.deepEqual(stages[1]?.parts[0]?.exits, { exits: 100, io_exits: 10 });
    assert.equal(exitsApart, 40_000);
  });

  it('of all stages add up to those of the run', () => {
    const { stages, exits } = withExits(timeline, [reading(21, 7, 1), reading(77, 999, 30)], STARTED);
    const sum = stages.reduce((total, one) => total + (one.exits?.['exits'] ?? 0), 0);
    assert.ok(Math.abs(sum - (exits?.['exits'] ?? 0)) <= stages.length, String(sum));
  });

  it('without a reading are not there', () => assert.deepEqual(withExits(timeline, [], STARTED), timeline));

  it('are named by kind, the most frequent first', () => {
    const text = kindsText({ exits: 30, irq_exits: 4, io_exits: 20, halt_exits: 0, mmio_exits: 6 }, 2);
    assert.equal(text, 'io_exits 20, mmio_exits 6');
  });
});
