/** A service that this process holds: claimed, recorded, logged, and served to those who stop it. */
import { constants } from 'node:os';
import type { LogWriter } from '../../control/log-writer.js';
import { type ControlServer, listenIn } from '../../control/server.js';
import { type ForHolder, Refusal } from '../../control/serving.js';
import type { LaunchOptions } from '../../sandbox/types.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { deferred } from '../../util/promises.js';
import { checkConnection, checkFileUri } from '../connection.js';
import { loadService } from '../file.js';
import type { ServiceRoots } from '../paths.js';
import { holdState, type StateUse } from '../store/bound.js';
import { checkSeen } from '../store/bound-mount.js';
import { type LockOptions, withServiceLock } from '../store/lock.js';
import { missingLimits, unitLimits, withoutUnitLimits } from '../systemd/limits.js';
import type { Service } from '../types.js';
import { type Claim, claimService, releaseService } from './claim.js';
import { endText, type ServiceEnd } from './end.js';
import { limitsMissing } from './errors.js';
import type { Health } from './health.js';
import { LastLines } from './last-lines.js';
import { LifeRecorder } from './life-recorder.js';
import { openServiceLog, ownLine } from './log.js';
import type { LifeObserver, PhaseFacts } from './observer.js';
import type { Phase } from './record.js';
import { refuseHeld } from './refuse-held.js';
import { ServiceRunner } from './runner.js';
import type { SystemdUnit } from './under-systemd.js';

export interface HoldOptions {
  /** While another process changes the service. */
  readonly lock?: LockOptions;
  readonly launch?: LaunchOptions;
  /** That of the host's systemd whose main process this is: it starts the service again, and not this process. */
  readonly unit?: SystemdUnit | undefined;
  /** Takes the output beside the log. */
  readonly onOutput?: (stream: 'stdout' | 'stderr', chunk: Buffer) => Promise<void>;
  readonly onPhase?: (phase: Phase, facts: PhaseFacts) => void;
  readonly onHealth?: (health: Health) => void;
}

/** What belongs to a service as long as it is held. */
interface Held {
  readonly claim: Claim;
  /** URI of libvirt, if it is known. */
  readonly connect: string | undefined;
  /** Without the limits that its unit has. */
  readonly toRun: Service;
  readonly log: LogWriter;
  readonly server: ControlServer;
  readonly use: StateUse;
}

export class HeldService implements LifeObserver {
  /** How it has ended for good. Nothing is left of it then, but its log and its record. */
  readonly ended: Promise<ServiceEnd>;
  readonly service: Service;
  readonly #claim: Claim;
  readonly #log: LogWriter;
  readonly #recorder: LifeRecorder;
  readonly #options: HoldOptions;
  readonly #runner: ServiceRunner;
  readonly #server: ControlServer;
  readonly #use: StateUse;
  #last = new LastLines();
  /** Its last record is being written. */
  #isOver = false;
  /** Another process can claim it. */
  readonly #released = deferred<void>();

  /**
   * Claims a service, and begins to start it.
   * @throws {SandboxError} `service-not-found`, `service-running`, `service-not-recorded`, `state-not-writable`,
   *   `service-limits-missing`, and what `loadService`, `checkFileUri` and `checkConnection` throw
   */
  static async hold(roots: ServiceRoots, name: string, options: HoldOptions = {}): Promise<HeldService> {
    // First, so that a name that is wrong makes nothing.
    const { paths } = (await loadToStart(roots, name, options)).service;
    await refuseHeld(name, paths.life, { signal: options.lock?.signal });
    // Who changes or removes the service then finds it claimed.
    const claim = await withServiceLock(roots, name, 'shared', () => claimService(name), options.lock);
    let log: LogWriter | undefined;
    let server: ControlServer | undefined;
    let use: StateUse | undefined;
    const held: { service?: HeldService } = {};
    const serving = {
      channel: undefined,
      kernelRelease: '',
      answer: async (request: ForHolder) => {
        if (request.ask !== 'stop' || held.service === undefined)
          throw new Refusal(constants.errno.EINVAL, 'control: the holder of a service has no such request');
        await held.service.stop(request.timeoutMs);
        return {};
      },
    };
    try {
      // What its file says now counts. If it is removed by now, it gets no log.
      const { service, connect } = await loadToStart(roots, name, options);
      const toRun = leftToLibvirt(service, options.unit);
      use = await holdState(service.config.overlay);
      checkSeen(service.config.overlay);
      log = await openServiceLog(paths, (why) => held.service?.onUnlogged(why));
      server = await listenIn(claim.path, serving, () => {});
      held.service = new HeldService(service, { claim, connect, toRun, log, server, use }, options);
      return held.service;
    } catch (error) {
      await server?.close();
      await log?.close();
      await use?.end();
      releaseService(claim);
      throw error;
    }
  }

  private constructor(service: Service, { claim, connect, toRun, log, server, use }: Held, options: HoldOptions) {
    this.service = service;
    this.#claim = claim;
    this.#log = log;
    this.#server = server;
    this.#use = use;
    this.#options = options;
    const { launch } = options;
    const onWarning = (sentence: string) => {
      launch?.onWarning?.(sentence);
      this.onNote(`warning: ${sentence}`);
    };
    this.#recorder = new LifeRecorder(service, { claim, connect, unit: options.unit }, onWarning);
    this.#runner = new ServiceRunner(toRun, this, {
      restarts: options.unit === undefined,
      launch: { ...launch, onWarning },
      prepare: () => use.renew(),
    });
    this.ended = this.#release();
  }

  /**
   * Resolves when it is ready, and is recorded to be so: whoever waits for it may look then.
   * @throws {SandboxError} why it is not; with the last lines that it wrote
   */
  async ready(): Promise<void> {
    try {
      await this.#runner.ready;
      await this.#recorder.written();
    } catch (error) {
      // It is said when nothing is left.
      await this.ended;
      throw error instanceof SandboxError ? this.#last.with(error) : error;
    }
  }

  /** As `ServiceRunner.stop`; resolves when another process can start it. */
  async stop(timeout?: number): Promise<void> {
    await this.#runner.stop(timeout);
    // Not `ended`, which waits until who has asked is answered.
    await this.#released.promise;
  }

  onPhase(phase: Phase, facts: PhaseFacts = {}): void {
    this.#recorder.phase(phase, facts);
    if (phase === 'starting') this.#last = new LastLines();
    if (phase === 'stopping') this.#last.end();
    if (phase === 'running') this.onNote(`it is ready${bootText(facts)}`);
    if (phase === 'failed' && facts.end !== undefined) this.onNote(endText(facts.end));
    this.#options.onPhase?.(phase, facts);
  }

  onHealth(health: Health): void {
    this.#recorder.health(health);
    this.#options.onHealth?.(health);
  }

  onUnlogged(why: string | undefined): void {
    if (!this.#isOver) this.#recorder.unlogged(why);
  }

  onNote(sentence: string): void {
    void this.#log.write('stderr', ownLine(sentence));
  }

  async onOutput(stream: 'stdout' | 'stderr', chunk: Buffer): Promise<void> {
    this.#last.add(chunk);
    await Promise.all([this.#log.write(stream, chunk), this.#options.onOutput?.(stream, chunk)]);
  }

  /** What nothing has caught ends this process: whoever reads the log is to know why. */
  async logFailure(error: unknown): Promise<void> {
    await this.#log.write('stderr', ownLine(`internal error: ${oneLine(String(error))}`));
  }

  async #release(): Promise<ServiceEnd> {
    try {
      return await this.#runner.ended;
    } finally {
      this.#isOver = true;
      await this.#recorder.end();
      await this.#log.close();
      try {
        await this.#use.end();
      } finally {
        // Who has asked for the end is answered, and finds nothing any more.
        releaseService(this.#claim);
        this.#released.resolve();
      }
      await this.#server.close();
    }
  }
}

interface ToStart {
  readonly service: Service;
  /** The URI that its file, who starts it, or the settings of libvirt name. */
  readonly connect: string | undefined;
}

/** A user's service that would be of the system is refused before anybody is asked for it. */
async function loadToStart(roots: ServiceRoots, name: string, { launch }: HoldOptions): Promise<ToStart> {
  const service = await loadService(roots, name);
  const { connect } = service.settings;
  if (connect === undefined) return { service, connect: checkConnection(roots, launch?.connect) };
  checkFileUri(roots, name, service.settings);
  return { service, connect };
}

/**
 * The service without the limits that its unit has.
 * @throws {SandboxError} `service-limits-missing`
 */
function leftToLibvirt(service: Service, unit: SystemdUnit | undefined): Service {
  const limits = unitLimits(service);
  if (unit === undefined || limits.length === 0) return service;
  const missing = missingLimits(limits);
  if (missing.length > 0) {
    throw limitsMissing(
      service.name,
      unit.unit,
      missing.map(({ key }) => `${key}=`),
    );
  }
  return { ...service, config: withoutUnitLimits(service.config) };
}

function bootText({ sandbox }: PhaseFacts): string {
  if (sandbox === undefined) return '';
  const { boot } = sandbox.launched;
  const seconds = ((sandbox.prepareMilliseconds + sandbox.startMilliseconds) / 1000).toFixed(1);
  return boot === undefined ? `, a container after ${seconds} s` : `, a machine after ${seconds} s (${boot} boot)`;
}
