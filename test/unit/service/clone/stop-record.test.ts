/** What is known of a service that was stopped to be copied, by processes that were killed. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { stopLeft, stopRecordOf } from '../../../../src/service/clone/stop-record.js';
import { makeLife, type ServiceRecord, writeServiceRecord } from '../../../../src/service/run/record.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

const RAN = { connect: 'lxc:///' };

class Source {
  readonly #name = uniqueName();
  readonly #life: string;
  #record: ServiceRecord;

  constructor(t: TestContext) {
    this.#life = join(scratchDirectory(t), 'life');
    makeLife(this.#life);
    const since = new Date().toISOString();
    this.#record = {
      version: 1,
      name: this.#name,
      owner: 'nobody',
      pid: 1,
      phase: 'stopped',
      since,
      restarts: 0,
      ports: [],
    };
  }

  /** A process holds it, and ends. */
  async held(owner: string, how: 'ready' | 'not ready'): Promise<void> {
    this.#record = { ...this.#record, owner, ...(how === 'ready' ? { readyUnder: owner } : {}) };
    await writeServiceRecord(this.#life, this.#record);
  }

  /** A process stops it, and is killed. */
  async stopped(): Promise<void> {
    const paths = { directory: '', config: '', file: '', life: this.#life };
    const stop = stopRecordOf({ name: this.#name, paths }, 'to be copied');
    await stop.record(stop.left ?? RAN);
    const file = join(this.#life, 'stopped-for.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"maker":"\d+ /, '"maker":"1 '));
  }

  get left() {
    return stopLeft({ name: this.#name, life: this.#life });
  }

  assertLeft(): void {
    const { purpose, ran } = this.left ?? {};
    assert.deepEqual([purpose, ran], ['to be copied', RAN]);
  }
}

describe('the record of a stop', () => {
  for (const how of ['ready', 'not ready'] as const)
    it(`stays until the service is ready again, of one that was ${how}, whoever else is killed`, async (t) => {
      const source = new Source(t);
      await source.held('0 0', 'ready');
      await source.held('1 1', how);
      for (const owner of ['2 2', '3 3', '4 4']) {
        await source.stopped();
        source.assertLeft();
        await source.held(owner, 'not ready');
        source.assertLeft();
      }
      await source.held('5 5', 'ready');
      assert.equal(source.left, undefined);
    });

  it('stays of one that was never ready', async (t) => {
    const source = new Source(t);
    await source.held('1 1', 'not ready');
    await source.stopped();
    await source.held('2 2', 'not ready');
    source.assertLeft();
    await source.held('3 3', 'ready');
    assert.equal(source.left, undefined);
  });

  it('stays of one that is ready just before it is stopped', async (t) => {
    const source = new Source(t);
    await source.held('1 1', 'not ready');
    await source.stopped();
    await source.held('1 1', 'ready');
    source.assertLeft();
  });
});
