/** The benchmark `data`: its program, what it makes of the results, and its page. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, before, describe, it, test } from 'node:test';
import { NESTED_VARIABLE } from '../../../src/bench/run/setting.js';
import { findInPath } from '../../../src/util/programs.js';
import { copyGround, makeGround } from '../../bench/data/ground.js';
import { best, type Cell, cellOf, type DataResult, ECHOES } from '../../bench/data/measure.js';
import { dataPage } from '../../bench/data/page.js';
import { amountsOf, rowsFile, type WorkRow, workRows } from '../../bench/data/rows.js';
import { HOST, type SystemName } from '../../bench/data/systems.js';
import { driveWork, parseRow } from '../../bench/data/work.js';
import { rowsOf } from '../../bench/data.js';
import { freshDirectory } from '../../helpers/scratch.js';

const amounts = amountsOf(0.005);
const seconds = (amount: number): Cell => ({ quantity: { amount, unit: 's' } });

describe('the program of the benchmark data', () => {
  let directory: string;
  before(() => {
    directory = freshDirectory();
    makeGround(join(directory, 'ground'), amounts);
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  /** Runs the rows on this host. */
  async function run(rows: readonly WorkRow[], limit: number) {
    const copy = join(directory, 'copy');
    copyGround(join(directory, 'ground'), copy);
    try {
      writeFileSync(join(copy, 'rows'), rowsFile(rows, limit));
      return await HOST.run(copy, (streams) => driveWork(streams, 3, () => {}));
    } finally {
      rmSync(copy, { recursive: true });
    }
  }

  it('does every row, the same each time, and echoes', async () => {
    // npm takes longer than all others.
    const rows = workRows(amounts).filter(
      ({ name, programs = [] }) => name !== 'npm' && programs.every((program) => findInPath(program)),
    );
    const works = [await run(rows, 60), await run(rows, 60)];
    for (const { name } of rows) {
      const [one, other] = works.map((work) => work.rows.get(name));
      assert.deepEqual([one?.status, one?.error], [0, ''], name);
      assert.equal(one?.printed, other?.printed, name);
    }
    assert.match(works[0]?.rows.get('git')?.printed ?? '', /^2 /);
    assert.ok(works.every(({ echoes }) => echoes > 0));
  });

  it('makes marks in an emulated machine, and nowhere else', async () => {
    const rows = [{ name: 'true', what: 'true', script: 'true' }];
    assert.equal((await run(rows, 60)).rows.get('true')?.guestSeconds, undefined);
    process.env[NESTED_VARIABLE] = '1';
    try {
      assert.equal(typeof (await run(rows, 60)).rows.get('true')?.guestSeconds, 'number');
    } finally {
      delete process.env[NESTED_VARIABLE];
    }
  });

  it('tells of a row that fails, of one whose check fails, and of one that takes too long', async () => {
    const row = (name: string, script: string, check = ''): WorkRow => ({
      name,
      what: name,
      script,
      check,
    });
    const { rows } = await run(
      [row('fails', 'echo what >&2; printf wh >&2; echo y >&2; exit 3'), row('unlike', 'true', 'exit 1')],
      60,
    );
    assert.deepEqual([rows.get('fails')?.status, rows.get('fails')?.error], [3, 'why']);
    assert.equal(rows.get('unlike')?.status, 125);
    const { rows: late } = await run([row('late', 'sleep 600')], 0);
    assert.equal(late.get('late')?.status, 124);
  });

  it('says what it reads that is not what was written', async () => {
    const script = 'printf x | dd of=large conv=notrunc bs=1 seek=4096 2>/dev/null; ./data-work read large';
    const { rows } = await run([{ name: 'read', what: 'read', script }], 60);
    assert.deepEqual([rows.get('read')?.status, rows.get('read')?.error], [1, 'large: page 1 is wrong']);
  });
});

test('a row with marks has the time between them, and that of the guest beside it', async () => {
  const lines = [
    'begin git',
    '[    1.0] begin of the kernel',
    'done git',
    'row git 9000000 0 2 ab 0 0 ',
    'row rm 2 0 0 0 0 0 ',
  ];
  const stdout = Readable.from([...lines, 'echoes', 'line 1', ''].join('\r\n'));
  const { rows } = await driveWork({ stdin: new PassThrough(), stdout }, 1, () => {});
  const { seconds: took = Number.NaN, guestSeconds } = rows.get('git') ?? {};
  assert.ok(took < 9_000_000, `${took}`);
  assert.equal(guestSeconds, 9_000_000);
  assert.deepEqual(rows.get('rm'), { seconds: 2, status: 0, printed: '0 0 0 0', error: '' });
});

test('a line of a row is told from others', () => {
  assert.deepEqual(parseRow('row git 1.25 0 2 ab 0 0 \r'), [
    'git',
    { seconds: 1.25, status: 0, printed: '2 ab 0 0', error: '' },
  ]);
  assert.equal(parseRow('[    1.0] row of the kernel'), undefined);
});

test('a row counts only if it printed what it prints on the host', () => {
  const right = { seconds: 2, status: 0, printed: '1 a 0 0', error: '' };
  assert.deepEqual(cellOf([right, { ...right, seconds: 4 }], right, 60), {
    quantity: { amount: 3, unit: 's', min: 2, max: 4, runs: 2 },
  });
  assert.deepEqual(cellOf([right, { ...right, printed: '1 b 0 0' }], right, 60), {
    failure: 'it printed 1 b 0 0 and not 1 a 0 0',
  });
  assert.deepEqual(cellOf([{ ...right, status: 1, error: 'gone' }], right, 60), { failure: 'status 1: gone' });
  assert.deepEqual(cellOf([{ ...right, status: 124 }], right, 60), {
    quantity: { amount: 60, unit: 's' },
    isMore: true,
  });
});

test('the better of two is the quicker one, or the one that works', () => {
  assert.deepEqual(best(seconds(2), seconds(1)), seconds(1));
  assert.deepEqual(best({ failure: 'a' }, seconds(1)), seconds(1));
  assert.deepEqual(best(seconds(2), undefined), seconds(2));
});

/** A result with one row. */
function resultOf(cells: Partial<Record<SystemName, Cell>>): DataResult {
  const row: WorkRow = { name: 'git', what: '`git status`', script: '' };
  const systems = (['ours-9p', 'virtme-9p', 'bare-9p'] as const).map((name) => ({ ...HOST, name, title: name }));
  const rate: Cell = { quantity: { amount: 100, unit: '/s' } };
  const all = Object.entries(cells) as [SystemName, Cell][];
  return {
    amounts,
    rows: [row],
    systems,
    leftOut: ['npm: there is no npm'],
    cells: new Map(
      all.map(([system, cell]) => [
        system,
        new Map([
          ['git', cell],
          [ECHOES, rate],
        ]),
      ]),
    ),
  };
}

test('the rows are compared with the better virtme-ng, and with the bare QEMU of the same root', () => {
  const result = resultOf({
    'ours-9p': seconds(2),
    'virtme-virtiofs': seconds(4),
    'virtme-9p': seconds(1),
    'bare-9p': seconds(2),
  });
  const [virtme, bare, echoes] = rowsOf(result, { system: 'ours-9p', title: '9p', bare: 'bare-9p' });
  assert.deepEqual([virtme?.ratio, virtme?.met], [2, false]);
  assert.deepEqual([bare?.ratio, bare?.met], [1, true]);
  assert.deepEqual([echoes?.ratio, echoes?.limit], [1, { least: 1 }]);
  assert.deepEqual(rowsOf(result, { system: 'ours-virtiofs', title: 'virtiofs' }), []);
});

test('a page has the figures, and why there is none', () => {
  const late = { quantity: { amount: 60, unit: 's' }, isMore: true } as const;
  const page = dataPage(
    resultOf({ 'ours-9p': seconds(2), 'virtme-9p': late, 'bare-9p': { failure: 'no files' } }),
    'M',
    1,
  );
  assert.match(page, /^M$/m);
  assert.match(page, /^\| `git status` \| 2\.00 \| > 60 \| fails \| {2}\|$/m);
  assert.match(page, /^\| `git status` \| < 0\.03 \| {2}\| {2}\| {2}\| {2}\|$/m);
  assert.match(page, /^- bare-9p, `git status`: no files\.$/m);
});
