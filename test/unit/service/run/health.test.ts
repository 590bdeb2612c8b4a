/** Whether a service is well, again and again. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Health, watchHealth } from '../../../../src/service/run/health.js';

it('a service that is held still is not unhealthy', async () => {
  const over = new AbortController();
  const pause = { isHeld: false };
  const told: number[] = [];
  let checks = 0;
  const check = async () => {
    checks += 1;
    // It is held still while the first check waits for it, and goes on later.
    pause.isHeld = checks === 1;
    if (pause.isHeld) setTimeout(() => Object.assign(pause, { isHeld: false }), 20);
    return { isWell: false, said: 'it took more than 30 s' };
  };
  const report = ({ failures }: Health) => {
    told.push(failures);
    if (failures === 2) over.abort();
  };
  await watchHealth({ run: assert.fail } as never, { check, interval: 1, pause }, over.signal, report);
  assert.deepEqual([checks, told], [3, [1, 2]]);
});
