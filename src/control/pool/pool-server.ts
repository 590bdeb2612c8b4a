/** Serves a pool to the processes of its user: docs/protocol.md, "A holder of a pool". */
import { constants } from 'node:os';
import { checkName } from '../../config/name.js';
import type { SandboxPool } from '../../sandbox/pool/pool.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { claimStateMeanwhile, releaseState, type StateDirectory } from '../../sandbox/state/state-directory.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { deferred } from '../../util/promises.js';
import { answer } from '../answers.js';
import { LogWriter } from '../log-writer.js';
import { Pause } from '../pause.js';
import { type ControlServer, listenIn, recordOf, serveIn } from '../server.js';
import type { ServedHostOptions } from '../serving.js';
import { type ForHolder, Refusal } from '../serving.js';
import { poolEndedError, poolFullError } from './errors.js';
import { type PoolRecord, writePoolRecord } from './record.js';
import { failedAnswer, type PoolState, type Taken, type TakeRequest } from './requests.js';
import { TakenSandbox } from './taken.js';

/** Who has taken a sandbox stays connected. */
const MOST_HOSTS = 256;

/**
 * So many sandboxes are taken at once, and nobody takes one while more are connected: the others can still ask how the
 * pool is, and end it.
 */
const MOST_TAKEN = 240;

/** What of a pool is served. */
export type ServedPool = Pick<SandboxPool, 'take' | 'stats' | 'names' | 'close'>;

export class PoolServer {
  /** Resolves when the pool was removed, and nothing of it runs. */
  readonly removed: Promise<void>;
  readonly #removed = deferred<void>();
  readonly #pool: ServedPool;
  readonly #record: PoolRecord;
  readonly #taken = new Map<string, TakenSandbox>();
  /** Names of those that a take has got, and that are not served yet. */
  readonly #given = new Set<string>();
  /** Names of those that have ended, while somebody has not read all of their output. */
  readonly #unread = new Map<TakenSandbox, string>();
  /** Those that are being taken. */
  readonly #taking = new Set<Promise<unknown>>();
  #takenInAll = 0;
  #isEnding = false;
  #server: ControlServer | undefined;

  private constructor(pool: ServedPool, record: PoolRecord) {
    this.#pool = pool;
    this.#record = record;
    this.removed = this.#removed.promise;
  }

  /**
   * Serves in the directory of the pool, and puts it on record there.
   * @throws a system error
   */
  static async start(pool: ServedPool, directory: string, record: PoolRecord): Promise<PoolServer> {
    const served = new PoolServer(pool, record);
    served.#server = await listenIn(
      directory,
      { channel: undefined, kernelRelease: '', answer: (request, lease) => served.#answer(request, lease) },
      (path) => {
        writePoolRecord(path, record);
      },
      MOST_HOSTS,
    );
    return served;
  }

  /** Ends all that wait, and all that were taken. */
  async remove(): Promise<void> {
    this.#isEnding = true;
    await this.#pool.close();
    await Promise.allSettled(this.#taking);
    await Promise.all([...this.#taken.values()].map((taken) => taken.stop()));
    this.#removed.resolve();
  }

  /** Ends the connections when the last answers are read. */
  async close(): Promise<void> {
    await this.#server?.close();
  }

  /** @throws {Refusal} */
  async #answer(request: ForHolder, lease: AbortSignal): Promise<unknown> {
    switch (request.ask) {
      case 'take':
        return this.#take(request, lease);
      case 'pool-stats':
        return this.#state();
      case 'pool-rm':
        return { running: await this.#removeUnlessInUse(request.force) };
      default:
        throw new Refusal(constants.errno.EINVAL, 'control: a pool has no such request');
    }
  }

  async #state(): Promise<PoolState> {
    const { size, idle, starting, privateBytesPerMember } = await this.#pool.stats();
    const [taken, waiting] = [this.#running, [...this.#pool.names]];
    return { size, idle, starting, taken, takenInAll: this.#takenInAll, waiting, privateBytesPerMember };
  }

  /** One that has just been given away is in two of them. */
  get #running(): string[] {
    return [...new Set([...this.#given, ...this.#taken.keys(), ...this.#unread.values()])];
  }

  async #removeUnlessInUse(force: boolean): Promise<readonly string[]> {
    const running = this.#running;
    if (!force && running.length > 0) return running;
    await this.remove();
    return [];
  }

  async #take(request: TakeRequest, lease: AbortSignal): Promise<Taken | object> {
    let taking: Promise<Taken> | undefined;
    try {
      this.#refuseUnlessRoom();
      taking = this.#takeOne(request, lease);
      this.#taking.add(taking);
      return await taking;
    } catch (error) {
      if (error instanceof SandboxError) return failedAnswer(error);
      throw new Refusal(constants.errno.EIO, `take: ${messageOf(error)}`);
    } finally {
      if (taking) this.#taking.delete(taking);
    }
  }

  /** @throws {SandboxError} `pool-full` */
  #refuseUnlessRoom(): void {
    const { name } = this.#record;
    if (this.#taken.size + this.#unread.size + this.#taking.size >= MOST_TAKEN)
      throw poolFullError(name, `${MOST_TAKEN} run or are waited for`);
    const hosts = this.#server?.hosts ?? 0;
    if (hosts > MOST_TAKEN) throw poolFullError(name, `${hosts} are connected to it`);
  }

  async #takeOne(request: TakeRequest, lease: AbortSignal): Promise<Taken> {
    if (request.name !== undefined) checkName(request.name);
    // What serves it under a name of its own. Its domain has another one since it was started.
    const own = request.name === undefined ? undefined : await claimStateMeanwhile(request.name, 'session');
    let sandbox: Sandbox | undefined;
    let name = '';
    try {
      const hostname = request.name === undefined ? {} : { name: request.name };
      this.#refuseAtEnd();
      sandbox = await this.#pool.take({ ...hostname, signal: lease });
      name = request.name ?? sandbox.name;
      this.#given.add(name);
      this.#refuseAtEnd();
      const taken = await this.#serve(sandbox, own, request);
      this.#takenInAll += 1;
      return taken;
    } catch (error) {
      await sandbox?.stop();
      if (own) releaseState(own);
      // It says that the pool was closed, and not by whom.
      this.#refuseAtEnd(error);
      throw error;
    } finally {
      this.#given.delete(name);
    }
  }

  /** @throws {SandboxError} `pool-ended` */
  #refuseAtEnd(cause?: unknown): void {
    if (this.#isEnding) throw poolEndedError(this.#record.name, cause);
  }

  /** Serves it as any other sandbox until it ends. */
  async #serve(sandbox: Sandbox, own: StateDirectory | undefined, request: TakeRequest): Promise<Taken> {
    const { detached, publish } = request;
    const name = request.name ?? sandbox.name;
    const directory = own?.path ?? sandbox.launched.state.path;
    const published: string[] = [];
    for (const { host, hostPort, guestPort } of publish)
      published.push((await sandbox.publish(guestPort, { host, hostPort })).host);
    const log = detached ? await LogWriter.create(directory) : undefined;
    const taken = new TakenSandbox(sandbox, log, () => {
      this.#taken.delete(name);
      if (own) releaseState(own);
    });
    let server: ControlServer | undefined;
    const close = async () => {
      this.#unread.set(taken, name);
      await server?.close();
      this.#unread.delete(taken);
      await log?.close();
    };
    try {
      const record = { ...recordOf(sandbox, detached), name, command: request.command };
      const { channel, kernelRelease = '', screen } = sandbox.launched;
      const pause = new Pause(sandbox.launched);
      const options: ServedHostOptions = {
        channel,
        kernelRelease,
        answer: (asked, lease) => answer(taken, asked, { lease, pause }),
        application: () => taken.application(),
      };
      server = await serveIn(directory, record, options, screen);
      this.#taken.set(name, taken);
      return { name, published, uuid: record.uuid };
    } finally {
      // Also where it is not served.
      taken.exited.then(close, close);
    }
  }
}
