/** virt-sandbox-ctl pool ls and pool inspect: what is known of pools. */
import { connectPool } from '../../control/pool/connect.js';
import type { PoolRecord } from '../../control/pool/record.js';
import type { PoolState } from '../../control/pool/requests.js';
import { findPools } from '../../sandbox/state/pools.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { columns, printJson, printLines } from '../output.js';
import { tellFailure } from '../program.js';
import { type CtlArguments, isSet, PROGRAM, wantsJson } from './arguments.js';
import { bytesText } from './human.js';

const HEADINGS = ['NAME', 'SIZE', 'IDLE', 'STARTING', 'TAKEN', 'MEMORY EACH'];

/** One pool. The names are keys of JSON. */
export interface ListedPool extends PoolState, Pick<PoolRecord, 'name' | 'pid' | 'created' | 'options'> {}

/** @returns the exit status */
export async function listPools(args: CtlArguments): Promise<number> {
  const asJson = wantsJson(args, 'pool ls');
  if (!asJson && isSet(args, 'quiet')) {
    await printLines(findPools().map(({ name }) => oneLine(name)));
    return 0;
  }
  const answers = await Promise.allSettled(findPools().map(({ name }) => described(name)));
  const pools = answers.flatMap((answer) => {
    if (answer.status === 'fulfilled') return answer.value;
    // It has just ended, or its first sandbox does not wait yet.
    if (answer.reason instanceof SandboxError) return [];
    throw answer.reason;
  });
  if (asJson) await printJson(pools);
  else await printLines(poolTable(pools, !isSet(args, 'noheading')));
  return 0;
}

/** @returns the exit status */
export async function inspectPools({ words }: CtlArguments): Promise<number> {
  const found: ListedPool[] = [];
  let status = 0;
  for (const name of words) {
    try {
      found.push(await described(name));
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      const failed = tellFailure(PROGRAM, error);
      if (status === 0) status = failed;
    }
  }
  await printJson(found);
  return status;
}

/** The lines of the table. */
export function poolTable(pools: readonly ListedPool[], withHeadings: boolean): string[] {
  const rows = pools.map(({ name, size, idle, starting, taken, privateBytesPerMember: bytes }) => [
    oneLine(name),
    ...[size, idle, starting, taken.length].map(String),
    bytes === undefined ? '' : bytesText(bytes),
  ]);
  return columns([...(withHeadings ? [HEADINGS] : []), ...rows]);
}

async function described(name: string): Promise<ListedPool> {
  const pool = await connectPool(name);
  try {
    const { version: _version, ...record } = pool.record;
    return { ...record, ...(await pool.state()) };
  } finally {
    await pool.close();
  }
}
