/** How a service is now. */
import type { SandboxRecord } from '../../control/record.js';
import type { SandboxStats } from '../../control/requests.js';
import { ignoreSandboxError, SandboxError } from '../../util/errors.js';
import { settlesWithin } from '../../util/promises.js';
import type { ServicePaths } from '../paths.js';
import { findHolder } from './claim.js';
import { lastEndOf, OVER, readServiceRecord, type ServiceRecord } from './record.js';
import { connectService } from './talk.js';
import { idleLimitTexts } from './unit-limits.js';
import { type UnitState, unitStates } from './unit-states.js';

/** How long the holder may take to tell what the service costs, in milliseconds. It may be stopped. */
const ANSWER_MS = 3000;

/** What is known of it without asking anybody. */
export type Life = Omit<ServiceRecord, 'version' | 'owner' | 'readyUnder' | 'connect' | 'pid' | 'since'> & {
  /** Since when it is in this phase; undefined: it was never started, or has just begun. */
  readonly since?: string | undefined;
  /** The process that holds it; undefined: none does. */
  readonly pid: number | undefined;
};

export interface ServiceStatus extends Life {
  /** Its holder did not answer in time, so only what it has recorded is known. */
  readonly isSilent?: boolean;
  /** Undefined: no sandbox runs now, or its holder does not answer. */
  readonly sandbox?: SandboxRecord | undefined;
  readonly stats?: SandboxStats | undefined;
  /** Those that it is there for; undefined: it runs a command, or its systemd does not say. */
  readonly units?: readonly UnitState[] | undefined;
  /** Sentences on limits of its units that have no effect. */
  readonly idleLimits?: readonly string[] | undefined;
}

/** The life of a service, as its holder has recorded it. One that was killed could not do so. */
export function lifeOf(name: string, { life }: Pick<ServicePaths, 'life'>): Life {
  const record = readServiceRecord(life, name);
  const holder = findHolder(name);
  if (holder !== undefined) {
    if (record?.owner === holder.owner) return { ...shown(record), pid: holder.pid };
    // It has claimed the service, and recorded nothing yet.
    return { ...never(name), phase: 'starting', pid: holder.pid, lastEnd: record?.lastEnd };
  }
  if (record === undefined) return never(name);
  const { unlogged: _unlogged, ...over } = shown(record);
  if (OVER.includes(record.phase)) return { ...over, pid: undefined };
  const { unit: _unit, manager: _manager, started: _started, health: _health, again: _again, ...known } = over;
  return { ...known, phase: 'failed', lastEnd: lastEndOf(record), ports: [], pid: undefined };
}

/** @throws {SandboxError} what is neither that it does not run, nor that its holder does not answer */
export async function statusOf(name: string, paths: Pick<ServicePaths, 'life'>): Promise<ServiceStatus> {
  const life = lifeOf(name, paths);
  if (life.pid === undefined) return life;
  const asking = ask(name);
  return (await settlesWithin(asking, ANSWER_MS)) ? { ...life, ...(await asking) } : { ...life, isSilent: true };
}

async function ask(name: string): Promise<Pick<ServiceStatus, 'sandbox' | 'stats' | 'units' | 'idleLimits'>> {
  try {
    await using connected = await connectService(name);
    const units = connected.record.guest.systemd?.units ?? [];
    const asked = units.length === 0 ? undefined : ignoreSandboxError(unitStates(connected, units));
    const limits = idleLimitTexts(connected, units, connected.record.guest);
    const [stats, states, texts] = await Promise.all([connected.stats(), asked, limits]);
    return { sandbox: connected.record, stats, units: states, ...(texts.length === 0 ? {} : { idleLimits: texts }) };
  } catch (error) {
    if (error instanceof SandboxError) return {};
    throw error;
  }
}

function never(name: string): Life {
  return { name, phase: 'stopped', restarts: 0, ports: [], pid: undefined };
}

function shown({
  version: _version,
  owner: _owner,
  readyUnder: _ready,
  connect: _connect,
  pid: _pid,
  ...rest
}: ServiceRecord): Omit<Life, 'pid'> {
  return rest;
}
