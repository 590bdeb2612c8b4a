/** QEMU's monitor: answers and events in any order, in any pieces. When it has ended, nothing waits for it. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Monitor, MonitorError } from '../../../src/libvirt/monitor.js';
import { Input } from './support/input.js';
import { quiet } from './support/settle.js';
import type { Target } from './support/target.js';
import { FakeTransport, requireNothingEscaped, type Watched, watch } from './support/transport.js';

const LINES = [
  '{"QMP": {"version": {"qemu": {"micro": 0}}, "capabilities": []}}',
  '{"return": {}}',
  '{"error": {"class": "GenericError", "desc": "no"}}',
  '{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}',
  '{"event": "MIGRATION", "data": {"status": "completed"}}',
  '{"error": {}, "return": null, "event": 1}',
  '',
] as const;

export const target: Target = {
  kind: 'settling',
  mostBytes: 1024,
  quickRuns: 8000,
  async read(data) {
    requireNothingEscaped();
    const input = new Input(data);
    const transport = new FakeTransport();
    const monitor = new Monitor(transport as unknown as Socket);
    const watched: Watched[] = [watch('answered', monitor.answered)];
    while (input.left > 0 && !transport.destroyed) {
      const step = input.choice(6);
      if (step === 0) transport.push(input.take(input.byte()).toString('latin1'));
      else if (step === 1) transport.push(`${LINES[input.choice(LINES.length)]}\n`);
      else if (step === 2) watched.push(watch('execute', monitor.execute('query-status')));
      else if (step === 3)
        watched.push(
          watch(
            'next',
            monitor.next(({ name }) => name === 'STOP'),
          ),
        );
      else await quiet();
    }
    await quiet();
    transport.destroy();
    await quiet();
    for (const { name, settled, error } of watched) {
      assert.ok(settled, `${name} is not settled, and QEMU has ended`);
      if (error !== undefined && !(error instanceof MonitorError)) throw error;
    }
    requireNothingEscaped();
  },
};
