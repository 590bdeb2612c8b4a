/** virt-sandbox-service status: how services are. */
import { stopLeft } from '../../service/clone/stop-record.js';
import { loadService } from '../../service/file.js';
import { listServices, mayBeOf, serviceNames } from '../../service/list.js';
import { serviceRoots } from '../../service/paths.js';
import { type ServiceStatus, statusOf } from '../../service/run/status.js';
import type { UnitState } from '../../service/run/unit-states.js';
import { isUp } from '../../service/run/units-active.js';
import { isReadOnly } from '../../service/store/bound.js';
import { messageOf, oneLine, SandboxError } from '../../util/errors.js';
import { uriOf } from '../ctl/describe.js';
import { bytesText, spanText } from '../ctl/human.js';
import { jsonText, printLines } from '../output.js';
import { print } from '../terminal/output.js';
import { isSet, type ServiceArguments, textOf } from './arguments.js';
import { forEachService, pathsOfService } from './each-service.js';
import { restartsOf } from './systemctl.js';

/** That of a service that does not run, as systemctl has it. */
const NOT_RUNNING = 3;

/** @returns 3 if a service that is named does not run */
export async function status(args: ServiceArguments): Promise<number> {
  const isNamed = args.words.length > 0;
  const names = isNamed ? args.words : await unnamed(args);
  const found: Shown[] = [];
  const look = async (name: string) => {
    const paths = pathsOfService(name);
    const known = await statusOf(name, paths);
    const stoppedFor = stopLeft({ name, life: paths.life })?.purpose;
    found.push({
      ...known,
      ...(await foundOf(name)),
      stoppedFor,
      restarts: (await restartsBySystemd(known)) ?? known.restarts,
    });
    return 0;
  };
  const failed = await forEachService(args, isNamed ? look : unlessGone(look), names);
  if (isSet(args, 'json')) await print(jsonText(found.map(statusJson)));
  else await printLines(found.flatMap((one, at) => [...(at === 0 ? [] : ['']), ...statusLines(one, Date.now())]));
  if (failed !== 0) return failed;
  return isNamed && found.some(({ pid }) => pid === undefined) ? NOT_RUNNING : 0;
}

/** Services may be removed while all are looked at. */
function unlessGone(look: (name: string) => Promise<number>): (name: string) => Promise<number> {
  return async (name) => {
    try {
      return await look(name);
    } catch (error) {
      if (error instanceof SandboxError && error.code === 'service-not-found') return 0;
      throw error;
    }
  };
}

/** Those that a call without names is about. */
async function unnamed(args: ServiceArguments): Promise<readonly string[]> {
  const uri = textOf(args, 'connect');
  if (uri === undefined) return serviceNames(serviceRoots());
  return (await listServices(serviceRoots())).filter((one) => mayBeOf(one, uri)).map(({ name }) => name);
}

/** What its file says, or why it cannot be read. */
async function foundOf(name: string): Promise<Pick<Shown, 'problem' | 'isReadOnly'>> {
  try {
    const { config } = await loadService(serviceRoots(), name);
    return (await isReadOnly(config.overlay)) ? { isReadOnly: true } : {};
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

interface Shown extends ServiceStatus {
  /** What is wrong with its file. */
  readonly problem?: string;
  /** Nothing is written to its state any more. */
  readonly isReadOnly?: boolean;
  /** What it was stopped for by a process that was killed, as the end of a sentence: it is to run. */
  readonly stoppedFor?: string | undefined;
}

/** How often systemd has started it again; undefined: systemd does not hold it. */
async function restartsBySystemd({ pid, unit, manager = 'system' }: ServiceStatus): Promise<number | undefined> {
  return pid === undefined || unit === undefined ? undefined : restartsOf({ unit, manager });
}

/** What is known of a service, as lines for a person. */
export function statusLines(known: Shown, now: number): string[] {
  const { name, health, restarts, lastEnd, ports, units, idleLimits } = known;
  const rows: (readonly [string, string | false | undefined])[] = [
    ['broken', known.problem],
    ['held by', holderText(known)],
    ['warning', known.isSilent ? 'its holder does not answer now; what it has recorded is shown' : undefined],
    ['sandbox', sandboxText(known)],
    ['memory', memoryText(known)],
    ['ports', ports.map(({ host, guestPort, protocol }) => `${host} -> ${guestPort}/${protocol}`).join(', ')],
    ...(units ?? []).map((unit) => ['unit', unitText(unit)] as const),
    ...(idleLimits ?? []).map((text) => ['warning', text] as const),
    ['health', health && healthText(health)],
    ['log', known.unlogged && unloggedText(known.unlogged)],
    ['state', known.isReadOnly && readOnlyText(name)],
    ['restarts', restarts === 0 ? undefined : String(restarts)],
    ['stopped', known.stoppedFor && stoppedText(name, known.stoppedFor)],
    ['last end', lastEnd && `${ago(lastEnd.at, now)}: ${lastEnd.text}`],
  ];
  const shown = rows.filter(([, text]) => text !== undefined && text !== false && text !== '');
  return [headline(name, known, now), ...shown.map(([key, text]) => `  ${key.padEnd(9)} ${oneLine(text || '')}`)];
}

function headline(name: string, known: ServiceStatus, now: number): string {
  const { phase, since, again, started } = known;
  if (phase === 'waiting' && again !== undefined)
    return `${name}: waiting, starts again in ${spanText((Date.parse(again) - now) / 1000).toLowerCase()}`;
  const from = phase === 'running' ? (started ?? since) : since;
  if (from === undefined) return `${name}: ${phase}${phase === 'stopped' ? ', never started' : ''}`;
  const well = phase === 'running' ? wellText(known) : '';
  const span = spanText((now - Date.parse(from)) / 1000).toLowerCase();
  return `${name}: ${phase}${well} since ${from.replace(/\.\d+Z$/, 'Z')} (${span})`;
}

/** What systemd says now is newer than the last check. */
function wellText({ health, units = [] }: ServiceStatus): string {
  if (units.some((unit) => !isUp(unit))) return ', degraded';
  if (health === undefined) return '';
  return health.isWell ? ', healthy' : ', unhealthy';
}

function holderText({ pid, unit }: ServiceStatus): string | undefined {
  if (pid === undefined) return undefined;
  return unit === undefined ? `PID ${pid}` : `PID ${pid}, ${unit}`;
}

function sandboxText({ sandbox }: ServiceStatus): string | undefined {
  if (sandbox === undefined) return undefined;
  const { platform, boot, acceleration } = sandbox;
  const how = [platform, acceleration?.toUpperCase(), boot && `${boot} boot`].filter((part) => part !== undefined);
  return `${how.join(', ')}, ${uriOf(sandbox)}`;
}

function memoryText({ sandbox, stats }: ServiceStatus): string | undefined {
  if (sandbox === undefined || stats === undefined) return undefined;
  const { memoryBytes, holderBytes } = stats;
  return `${bytesText(memoryBytes)} of ${bytesText(sandbox.memory)}, and ${bytesText(holderBytes)} to hold it`;
}

function unitText({ unit, load, active, sub, result, restarts }: UnitState): string {
  const how = load === 'loaded' ? `${active} (${sub})` : load;
  const why = result === '' || result === 'success' ? '' : `, ${result}`;
  return `${unit} ${how}${why}${restarts === 0 ? '' : `, ${restarts} restarts`}`;
}

function healthText({ isWell, failures, said }: NonNullable<ServiceStatus['health']>): string {
  if (failures === 0) return 'healthy';
  return `${isWell ? 'healthy' : 'unhealthy'}, ${failures} ${failures === 1 ? 'failure' : 'failures'}: ${said ?? ''}`;
}

function unloggedText(why: string): string {
  return `lacks what the service writes now, as it cannot be written: ${why}; make room, or look who may write there`;
}

function readOnlyText(name: string): string {
  return `read-only since its disk had no room, or failed: make room, and then virt-sandbox-service restart ${name}`;
}

function stoppedText(name: string, purpose: string): string {
  return `${purpose}, by a process that was killed: start it with virt-sandbox-service start ${name}`;
}

function ago(time: string, now: number): string {
  return `${spanText((now - Date.parse(time)) / 1000)} ago`;
}

/** For programs. Times are ISO 8601, sizes bytes. */
export function statusJson({ sandbox, stats, phase, ...known }: Shown): object {
  const { platform, boot, acceleration, memory, vcpus, kernel } = sandbox ?? {};
  return {
    state: phase,
    ...known,
    ...(sandbox === undefined ? {} : { sandbox: { uri: uriOf(sandbox), platform, acceleration, boot, kernel, vcpus } }),
    ...(stats === undefined ? {} : { memory: { ...stats, limitBytes: memory } }),
  };
}
