/** Programs of the init for files, as a host runs them, and the records that they write. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Proc, SpawnFlag } from '../../../../src/protocol/wire.js';
import { scratchDirectory } from '../../../helpers/scratch.js';
import { ACKNOWLEDGED_BYTES, Guest, type SpawnOptions } from './driver.js';

export const NOBODY: SpawnOptions = { uid: 65_534, gid: 65_534, groups: [], capabilities: 0n };
/** Neither UTF-8 nor a name that a shell would print. */
export const ODD_NAME = Buffer.from([0x61, 0x0a, 0xff, 0x20, 0xc3]);
export const LONG_NAME = 'n'.repeat(255);

export class Programs {
  readonly directory: string;
  private constructor(
    readonly guest: Guest,
    t: TestContext,
  ) {
    this.directory = scratchDirectory(t);
  }

  static async start(t: TestContext): Promise<Programs> {
    return new Programs(await Guest.start(t), t);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** In the scratch directory. */
  begin(argv: readonly (string | Buffer)[], options: SpawnOptions = {}): Promise<number> {
    return this.guest.spawnBeside(argv, { directory: this.directory, ...options, flags: SpawnFlag.BUILTIN });
  }

  /** A program that ends as it should. @returns its output */
  async run(argv: readonly (string | Buffer)[], { input = '', ...options }: SpawnOptions & { input?: string } = {}) {
    const number = await this.begin(argv, options);
    if (input !== '') this.guest.stdin(input, number);
    this.guest.stdinEnd(number);
    const status = await this.guest.exit(number);
    assert.deepEqual([status, this.guest.output(Proc.STDERR, number).subarray(4).toString()], [0, '']);
    return this.guest.output(Proc.STDOUT, number);
  }

  /** Has some of its input, and writes it to a file. */
  async beginWriting(name: string): Promise<number> {
    const number = await this.begin(['write', name, '420', '0']);
    // More than pipes hold, so it has read some.
    for (let sent = 1; sent <= 16; sent += 1) {
      this.guest.stdin(Buffer.alloc(1 << 17, 'half'), number);
      await this.guest.until(
        () => (sent << 17) - this.guest.acknowledgedOf(number) < ACKNOWLEDGED_BYTES,
        'that stdin is taken',
      );
    }
    return number;
  }

  /** A program that fails. @returns what it reports, without the scratch directory */
  async fails(expected: number, argv: readonly (string | Buffer)[], options: SpawnOptions = {}): Promise<string> {
    const number = await this.begin(argv, options);
    this.guest.stdin('x', number);
    this.guest.stdinEnd(number);
    assert.equal(await this.guest.exit(number), 1 << 8, argv.join(' '));
    const report = this.guest.output(Proc.STDERR, number);
    const what = report.subarray(4).toString().replaceAll(this.directory, '');
    assert.equal(report.readUInt32BE(0), expected, what);
    return what;
  }
}

/** The records that a program has printed to its end. */
export function recordsIn(output: Buffer): Buffer[] {
  const { records, rest } = split(output);
  assert.equal(rest, 0);
  return records;
}

/** @returns the records, and how many bytes there are of one that is not all there */
function split(output: Buffer): { records: Buffer[]; rest: number } {
  const records: Buffer[] = [];
  let at = 0;
  while (at + 4 <= output.length) {
    const end = at + 4 + output.readUInt32BE(at);
    if (end > output.length) break;
    records.push(output.subarray(at + 4, end));
    at = end;
  }
  return { records, rest: output.length - at };
}

/** The change, the cookie and the name of each record so far. The last one may still be on its way. */
export function changesIn(output: Buffer): [number, number, string][] {
  return split(output).records.map((record) => {
    assert.equal(record.length, 12 + record.readUInt32BE(8));
    return [record.readUInt32BE(0), record.readUInt32BE(4), record.subarray(12).toString('latin1')];
  });
}
