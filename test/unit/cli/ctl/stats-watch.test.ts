/** What virt-sandbox-ctl stats waits for, and what it leaves behind. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { StatsWatch, type Watchable } from '../../../../src/cli/ctl/stats-watch.js';
import { endedError } from '../../../../src/control/errors.js';
import type { SandboxStats } from '../../../../src/control/requests.js';
import { type Deferred, deferred } from '../../../../src/util/promises.js';
import { record } from '../../control/a-record.js';

const STATS: SandboxStats = { cpuSeconds: 1, memoryBytes: 2, holderBytes: 3, processes: 4 };

/** Holders by name; each answers as it is told. */
class Holders {
  readonly answers = new Map<string, () => Promise<SandboxStats>>();
  connected = 0;
  open = 0;

  readonly connect = async (name: string): Promise<Watchable> => {
    this.connected += 1;
    this.open += 1;
    return {
      record,
      stats: () => (this.answers.get(name) ?? (async () => STATS))(),
      close: async () => {
        this.open -= 1;
      },
    };
  };

  watch(...names: readonly string[]): StatsWatch {
    return new StatsWatch(names, { all: false, answerMs: 1000, connect: this.connect });
  }
}

/** What is told on stderr goes nowhere. */
function told(t: TestContext): string[] {
  const lines: string[] = [];
  t.mock.method(process.stderr, 'write', (text: string) => lines.push(text) > 0);
  return lines;
}

const names = async (watch: StatsWatch) => (await watch.sample()).map(({ name }) => name);

describe('stats', () => {
  it('do not wait for a holder that does not answer, and show it when it does', async (t) => {
    const lines = told(t);
    const holders = new Holders();
    const answer: Deferred<SandboxStats> = deferred();
    holders.answers.set('still', () => answer.promise);
    const watch = holders.watch('web', 'still');
    assert.deepEqual(await names(watch), ['web']);
    assert.match(lines.join(''), /"still" does not answer/);
    // It is asked once, told once, and not waited for again.
    const begun = performance.now();
    assert.deepEqual(await names(watch), ['web']);
    assert.ok(performance.now() - begun < 900);
    assert.equal(lines.length, 1);
    answer.resolve(STATS);
    assert.deepEqual(await names(watch), ['web', 'still']);
    assert.deepEqual([watch.status, watch.isOver, holders.connected], [125, false, 2]);
    await watch.close();
    assert.equal(holders.open, 0);
  });

  it('leave no connection where a sample fails', async (t) => {
    const lines = told(t);
    const holders = new Holders();
    holders.answers.set('web', async () => {
      throw endedError('web');
    });
    const watch = holders.watch('web', 'other');
    assert.deepEqual(await names(watch), ['other']);
    assert.deepEqual([holders.open, watch.status, lines.length], [1, 125, 1]);
    // One that was seen ends without a failure.
    holders.answers.set('other', () => Promise.reject(endedError('other')));
    assert.deepEqual(await names(watch), []);
    assert.deepEqual([holders.open, lines.length, watch.isOver], [0, 1, true]);
  });
});
