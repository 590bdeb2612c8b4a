/** When a service that has started is ready. */
import { setTimeout as delay } from 'node:timers/promises';
import type { SandboxConfig } from '../../config/types.js';
import type { Session } from '../../sandbox/session.js';
import { ignoreSandboxError, SandboxError } from '../../util/errors.js';
import { settlesWithin } from '../../util/promises.js';
import type { Service } from '../types.js';
import { checkHealth, unitsOf } from './health.js';
import { unitStates } from './unit-states.js';
import { isUp, unitsActive } from './units-active.js';

/** Between two looks, in milliseconds: shorter at first. */
const FIRST_LOOK_MS = 100;
const LONGEST_LOOK_MS = 1000;

/** How long systemd may take to say what is late, in milliseconds. */
const ANSWER_MS = 5000;

/** What a start waits for now, for the error if it waits too long. */
export interface Waiting {
  /** A sentence. */
  waitsFor: string;
  /** Looks what it is; undefined: the sentence is all. */
  look?: (() => Promise<string | undefined>) | undefined;
}

/** @param onChange gets each further sentence */
export function waitingFor(first: string, onChange: ((sentence: string) => void) | undefined): Waiting {
  let sentence = first;
  return {
    get waitsFor() {
      return sentence;
    },
    set waitsFor(next) {
      sentence = next;
      onChange?.(next);
    },
  };
}

/** The sentence for the error, of what may not answer any more. */
export async function waitsFor({ waitsFor, look }: Waiting): Promise<string> {
  const looking = look?.();
  if (looking === undefined || !(await settlesWithin(looking, ANSWER_MS))) return waitsFor;
  return (await looking) ?? waitsFor;
}

/**
 * Resolves when a service whose command runs is ready: when its units, or its boot target, are active, and when its
 * health command succeeds first. A command without one is ready at once.
 * @throws {SandboxError} of a unit that failed: `unit-failed`, `unit-not-loaded`, `unit-inactive`, `systemd-silent`
 * @throws the signal's reason if it aborts
 * @throws {SandboxError} `process-lost` if the sandbox has ended
 */
export async function untilReady(
  sandbox: Pick<Session, 'run'>,
  { config, settings }: Pick<Service, 'config' | 'settings'>,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<void> {
  const units = goalsOf(config);
  waiting.waitsFor = `systemd inside does not say yet that ${units.join(', ')} can be used`;
  waiting.look = () => notYetActive(sandbox, units);
  await untilActive(sandbox, units, waiting, signal);
  waiting.look = undefined;
  const { health } = settings;
  if (health === undefined) return;
  waiting.waitsFor = `its health command ${JSON.stringify(health)} has not ended yet`;
  for (let pause = FIRST_LOOK_MS; ; pause = Math.min(2 * pause, LONGEST_LOOK_MS)) {
    const { isWell, said } = await checkHealth(sandbox, health, { signal });
    if (isWell) return;
    waiting.waitsFor = `its health command ${JSON.stringify(health)} fails: ${said}`;
    await delay(pause, undefined, { signal });
  }
}

async function notYetActive(sandbox: Pick<Session, 'run'>, units: readonly string[]): Promise<string | undefined> {
  const states = await ignoreSandboxError(unitStates(sandbox, units));
  const late = states?.filter((state) => !isUp(state)).map(({ unit, active, sub }) => `${unit} is ${active} (${sub})`);
  return late === undefined || late.length === 0 ? undefined : `the unit ${late.join(', and the unit ')}`;
}

/** One of libvirt-sandbox names no units, but a target that wants them. */
function goalsOf(config: SandboxConfig): readonly string[] {
  const units = unitsOf(config);
  return units.length === 0 && config.service?.type === 'systemd' ? [config.service.bootTarget] : units;
}

/** On a busy host systemd may be too slow for systemctl. */
async function untilActive(
  sandbox: Pick<Session, 'run'>,
  units: readonly string[],
  waiting: Waiting,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      await unitsActive(sandbox, units, { signal });
      return;
    } catch (error) {
      if (!(error instanceof SandboxError) || error.code !== 'systemd-silent') throw error;
      waiting.waitsFor = error.message;
      await delay(LONGEST_LOOK_MS, undefined, { signal });
    }
  }
}
