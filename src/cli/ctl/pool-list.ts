/** virt-sandbox-ctl pool ls and pool inspect: what is known of pools. */
import { connectPool } from '../../control/pool/connect.js';
import { type PoolRecord, readPoolRecord } from '../../control/pool/record.js';
import type { PoolState } from '../../control/pool/requests.js';
import { RecordError } from '../../control/record.js';
import { type FoundPool, findPools } from '../../sandbox/state/pools.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { columns, printJson, printLines } from '../output.js';
import { tellFailure } from '../program.js';
import { type CtlArguments, isSet, PROGRAM, wantsJson } from './arguments.js';
import { bytesText } from './human.js';

const HEADINGS = ['NAME', 'SIZE', 'IDLE', 'STARTING', 'TAKEN', 'MEMORY EACH'];

/** One pool. The names are keys of JSON. */
export interface ListedPool extends PoolState, Pick<PoolRecord, 'name' | 'pid' | 'created' | 'options'> {}

/** One whose holder does not answer, as it is stopped, or too many are connected. The names are keys of JSON. */
export interface SilentPool extends Omit<PoolRecord, 'version'> {
  readonly error: string;
}

/** @returns the exit status */
export async function listPools(args: CtlArguments): Promise<number> {
  const asJson = wantsJson(args, 'pool ls');
  if (!asJson && isSet(args, 'quiet')) {
    await printLines(findPools().map(({ name }) => oneLine(name)));
    return 0;
  }
  const pools = (await Promise.all(findPools().map(listed))).filter((pool) => pool !== undefined);
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
export function poolTable(pools: readonly (ListedPool | SilentPool)[], withHeadings: boolean): string[] {
  const rows = pools.map((pool) => [oneLine(pool.name), String(pool.size), ...stateCells(pool)]);
  return columns([...(withHeadings ? [HEADINGS] : []), ...rows]);
}

function stateCells(pool: ListedPool | SilentPool): string[] {
  if ('error' in pool) return ['?', '?', '?', 'does not answer'];
  const { idle, starting, taken, privateBytesPerMember: bytes } = pool;
  return [...[idle, starting, taken.length].map(String), bytes === undefined ? '' : bytesText(bytes)];
}

/** @returns undefined: it has just ended, or its first sandbox does not wait yet */
export async function listed({ name, directory }: FoundPool): Promise<ListedPool | SilentPool | undefined> {
  try {
    return await described(name);
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    if (error.code !== 'control-failed') return undefined;
    const record = recordIn(directory);
    return record && { ...record, error: error.message };
  }
}

function recordIn(directory: string): Omit<PoolRecord, 'version'> | undefined {
  try {
    const { version: _version, ...record } = readPoolRecord(directory);
    return record;
  } catch (error) {
    if (error instanceof RecordError) return undefined;
    throw error;
  }
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
