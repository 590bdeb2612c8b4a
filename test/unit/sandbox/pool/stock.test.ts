import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { AT_ONCE, MOST_FAILURES, SHORT_LIFE_MS, Stock } from '../../../../src/sandbox/pool/stock.js';
import { type Deferred, deferred } from '../../../../src/util/promises.js';

const REST_MS = 20;

/** A thing, with its number in the order of making. */
interface Thing {
  readonly number: number;
  readonly ended: Deferred<void>;
}

/** A stock whose things are made, and fail, when the test says so. */
class Workshop {
  readonly stock: Stock<Thing>;
  readonly making: Deferred<Thing>[] = [];
  readonly discarded: number[] = [];
  readonly failures: unknown[] = [];
  #made = 0;

  constructor(size: number) {
    this.stock = new Stock<Thing>(size, () => REST_MS, {
      make: (signal) => {
        const made = deferred<Thing>();
        this.making.push(made);
        signal.addEventListener('abort', () => made.reject(new Error('cancelled')));
        return made.promise;
      },
      ended: ({ ended }) => ended.promise,
      discard: async ({ number }) => {
        await turn();
        this.discarded.push(number);
      },
      onFailure: (error) => this.failures.push(error),
    });
  }

  /** After what was taken last. */
  async rest(): Promise<void> {
    await sleep(REST_MS + 10);
  }

  /** Makes the one that was begun first. */
  async make(): Promise<Thing> {
    this.#made += 1;
    const thing = { number: this.#made, ended: deferred<void>() };
    this.making.shift()?.resolve(thing);
    await turn();
    return thing;
  }

  async makeAll(): Promise<void> {
    while (this.making.length > 0) await this.make();
  }

  async fail(message: string): Promise<void> {
    this.making.shift()?.reject(new Error(message));
    await turn();
  }
}

async function filled(size: number): Promise<Workshop> {
  const workshop = new Workshop(size);
  workshop.stock.fill();
  await workshop.makeAll();
  return workshop;
}

const CLOSED = new Error('closed');
const numbersOf = (things: readonly Thing[]) => things.map(({ number }) => number);

describe('a stock', () => {
  it('makes as many as it is to have, a few at a time', async () => {
    const workshop = new Workshop(5);
    const { stock, making } = workshop;
    stock.fill();
    assert.deepEqual([stock.state, making.length], [{ idle: 0, starting: AT_ONCE }, AT_ONCE]);
    await workshop.make();
    assert.deepEqual(stock.state, { idle: 1, starting: AT_ONCE });
    await workshop.makeAll();
    assert.deepEqual(stock.state, { idle: 5, starting: 0 });
  });

  it('makes another one for each that is taken, the oldest first', async () => {
    const workshop = await filled(3);
    assert.equal((await workshop.stock.take(undefined)).number, 1);
    assert.deepEqual(workshop.stock.state, { idle: 2, starting: 0 });
    assert.equal((await workshop.stock.take(undefined)).number, 2);
    await workshop.rest();
    assert.deepEqual(workshop.stock.state, { idle: 1, starting: 2 });
    await workshop.makeAll();
    assert.deepEqual(numbersOf(workshop.stock.idle), [3, 4, 5]);
  });

  it('serves those who wait in order, and makes more for them than it keeps', async () => {
    const workshop = await filled(1);
    const taking = Array.from({ length: 20 }, () => workshop.stock.take(undefined));
    await workshop.makeAll();
    assert.deepEqual(
      numbersOf(await Promise.all(taking)),
      Array.from({ length: 20 }, (_, at) => at + 1),
    );
    assert.deepEqual(workshop.stock.state, { idle: 1, starting: 0 });
  });

  it('serves one first who was given a thing of no use', async () => {
    const workshop = new Workshop(1);
    const [last, first] = [workshop.stock.take(undefined), workshop.stock.take(undefined, true)];
    await workshop.makeAll();
    assert.deepEqual(numbersOf(await Promise.all([first, last])), [1, 2]);
  });

  it('forgets one who does not wait any more', async () => {
    const workshop = new Workshop(1);
    const abort = new AbortController();
    const [left, stays] = [workshop.stock.take(abort.signal), workshop.stock.take(undefined)];
    abort.abort(new Error('enough'));
    await assert.rejects(left, /enough/);
    await workshop.make();
    assert.equal((await stays).number, 1);
    await assert.rejects(workshop.stock.take(abort.signal), /enough/);
  });

  it('makes another one for one that ended', async () => {
    const workshop = await filled(2);
    workshop.stock.idle[0]?.ended.reject(new Error('killed'));
    await turn();
    assert.deepEqual([numbersOf(workshop.stock.idle), workshop.stock.state.starting], [[2], 1]);
    await workshop.makeAll();
    assert.deepEqual(numbersOf(workshop.stock.idle), [2, 3]);
    assert.match(String(workshop.failures), /killed/);
  });

  it('does not mind the end of one that was taken', async () => {
    const workshop = await filled(1);
    const taken = await workshop.stock.take(undefined);
    workshop.stock.fill();
    await workshop.makeAll();
    taken.ended.resolve();
    await turn();
    assert.deepEqual([workshop.stock.state, workshop.failures], [{ idle: 1, starting: 0 }, []]);
  });

  it('ends those that are over, and makes others', async () => {
    const workshop = await filled(3);
    workshop.stock.discardIf(({ number }) => number < 3);
    await workshop.makeAll();
    await turn();
    assert.deepEqual(
      [numbersOf(workshop.stock.idle), workshop.discarded],
      [
        [3, 4, 5],
        [1, 2],
      ],
    );
  });
});

describe('a stock whose things fail', () => {
  it('tries again, and tells those who wait when too many have failed', async () => {
    const workshop = new Workshop(4);
    const taking = [workshop.stock.take(undefined), workshop.stock.take(undefined)];
    const results = Promise.allSettled(taking);
    for (let failure = 1; failure <= MOST_FAILURES; failure += 1) await workshop.fail(`failure ${failure}`);
    for (const result of await results)
      assert.match(result.status === 'rejected' ? String(result.reason) : '', new RegExp(`failure ${MOST_FAILURES}`));
    // One had begun before the last of them failed.
    await workshop.makeAll();
    assert.deepEqual([workshop.stock.isWorking, workshop.stock.state], [false, { idle: 1, starting: 0 }]);
  });

  it('begins again for who asks', async () => {
    const workshop = new Workshop(1);
    const filling = assert.rejects(workshop.stock.filled(), /3/);
    for (const failure of ['1', '2', '3']) await workshop.fail(failure);
    await filling;
    assert.equal(workshop.making.length, 0);
    const taking = workshop.stock.take(undefined);
    await workshop.makeAll();
    assert.equal((await taking).number, 1);
  });

  it('begins again for who comes first, too', async () => {
    const workshop = new Workshop(1);
    const refused = assert.rejects(workshop.stock.take(undefined), /3/);
    for (const failure of ['1', '2', '3']) await workshop.fail(failure);
    await refused;
    const taking = workshop.stock.take(undefined, true);
    await workshop.makeAll();
    assert.equal((await taking).number, 1);
  });

  it('counts those that end soon', async (t) => {
    const now = t.mock.method(performance, 'now', () => 0);
    const workshop = await filled(4);
    const end = async () => {
      workshop.stock.idle[0]?.ended.reject(new Error('killed'));
      await turn();
      await workshop.makeAll();
    };
    for (let death = 1; death < MOST_FAILURES; death += 1) await end();
    assert.deepEqual([workshop.stock.isWorking, workshop.stock.state.idle], [true, 4]);
    now.mock.mockImplementation(() => SHORT_LIFE_MS);
    await end();
    assert.deepEqual([workshop.stock.isWorking, workshop.stock.state.idle], [true, 4]);
    now.mock.mockImplementation(() => 0);
    await end();
    assert.deepEqual([workshop.stock.isWorking, workshop.stock.state.idle], [false, 3]);
    assert.equal(workshop.failures.length, MOST_FAILURES + 1);
  });

  it('counts those in a row', async () => {
    const workshop = new Workshop(1);
    for (let round = 0; round < MOST_FAILURES; round += 1) {
      const taking = workshop.stock.take(undefined);
      await workshop.fail('one');
      await workshop.makeAll();
      await taking;
      workshop.stock.succeeded();
    }
    assert.equal(workshop.stock.isWorking, true);
  });

  it('counts those that were of no use to who took them', async () => {
    const { stock } = await filled(3);
    assert.deepEqual(
      [1, 2, 3].map((number) => stock.failed(new Error(`${number}`))),
      [false, false, true],
    );
  });
});

describe('a stock that is closed', () => {
  it('ends what nobody has taken, and tells those who wait', async () => {
    const workshop = await filled(2);
    const { stock } = workshop;
    const [one, two] = [await stock.take(undefined), await stock.take(undefined)];
    stock.fill();
    await workshop.make();
    const [kept, waiting, filling] = [await stock.take(undefined), stock.take(undefined), stock.filled()];
    await Promise.all([
      assert.rejects(waiting, CLOSED),
      assert.rejects(filling, CLOSED),
      stock.close(CLOSED),
      assert.rejects(stock.take(undefined), CLOSED),
    ]);
    assert.deepEqual(numbersOf([one, two, kept]), [1, 2, 3]);
    assert.deepEqual([workshop.discarded, stock.state, workshop.failures], [[], { idle: 0, starting: 0 }, []]);
    await assert.rejects(stock.filled(), CLOSED);
  });

  it('ends those that come late', async () => {
    const workshop = await filled(1);
    const { stock } = workshop;
    await stock.take(undefined);
    stock.fill();
    const late = { number: 7, ended: deferred<void>() };
    workshop.making[0]?.resolve(late);
    await Promise.all([stock.close(CLOSED), stock.close(CLOSED)]);
    assert.deepEqual(workshop.discarded, [7]);
  });
});
