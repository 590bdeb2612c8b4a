/** Programs that start a machine for what they do to a state in an image: they are killed, or what they start is. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { isImageInUse } from '../../src/sandbox/devices/overlay-image.js';
import { valueOr } from '../../src/util/errors.js';
import { childrenOf } from './children.js';
import { assertKilledAt, type Ended, killedAt, sandboxesIn, someSteps, tracedFor } from './killing.js';
import { assertNothingLeft, type WhereLeft } from './leftovers.js';
import { holdsDuring } from './meanwhile.js';
import type { ServiceProgram } from './serving.js';

/** Calls of a program itself, and of those that it starts: QEMU writes to the image. */
export interface Calls {
  readonly own: readonly string[];
  readonly others: readonly string[];
}

/** Processes that hold a machine, by the beginning of their names. */
const HOLDERS = ['supervisor', 'virt-qemu-run', 'qemu-system'];

/** A program that has ended, since it was killed, or a process that it had started. */
export interface Killed {
  /** For errors. */
  readonly what: string;
  readonly ended: Ended;
}

export class KilledPrograms {
  readonly #service: ServiceProgram;
  readonly #log: string;
  /** Sandboxes that were started by programs which were killed. */
  readonly #sandboxes = new Set<string>();
  readonly #where: WhereLeft;

  /** @param log a file for calls */
  constructor(service: ServiceProgram, log: string, where: WhereLeft = {}) {
    this.#service = service;
    this.#log = log;
    this.#where = where;
  }

  /**
   * Runs a command again and again. At first nothing is killed; then it, or what it starts, at some steps of each call;
   * at last each process that holds the machine.
   * @param imageOf the image of the machine; undefined: it is not there yet
   */
  async *kills(command: readonly string[], calls: Calls, imageOf: () => string | undefined): AsyncGenerator<Killed> {
    yield* this.#killsAt(command, calls.own, true);
    yield* this.#killsAt(command, calls.others, false);
    for (const holder of HOLDERS) yield { what: holder, ended: await this.#runWithout(command, holder, imageOf) };
  }

  async *#killsAt(command: readonly string[], calls: readonly string[], isAlone: boolean): AsyncGenerator<Killed> {
    const tracing = { isAlone, log: this.#log };
    const whole = await this.#run(command, tracedFor(calls, tracing));
    assert.equal(whole.code, 0, whole.stderr);
    const steps = someSteps(calls, this.#log);
    yield { what: 'nothing', ended: whole };
    const killed = new Set<string>();
    for (const step of steps) {
      const ended = await this.#run(command, killedAt(step, tracing));
      // Threads of QEMU share their work in another way each time.
      if (ended.code !== 0) killed.add(step.call);
      yield { what: `${step.call} ${step.when}`, ended };
    }
    assertKilledAt(killed, calls);
  }

  async #run(command: readonly string[], through: readonly string[]): Promise<Ended> {
    rmSync(this.#log, { force: true });
    const ended = await this.#service.run(command, { through });
    for (const name of sandboxesIn(this.#log)) this.#sandboxes.add(name);
    return ended;
  }

  /** One process that holds the machine is killed, and nothing else. */
  async #runWithout(command: readonly string[], holder: string, imageOf: () => string | undefined): Promise<Ended> {
    const running = this.#service.begin(command);
    await holdsDuring(running.result, () => {
      const image = imageOf();
      if (image === undefined || !valueOr(() => isImageInUse(image), false)) return false;
      return this.killHolder(running.pid, holder);
    });
    return running.result;
  }

  /**
   * Kills a process that holds the machine of a program.
   * @param pid of the program
   * @returns false: it has none
   */
  killHolder(pid: number, holder: string): boolean {
    const [supervisor] = childrenOf(pid, 'supervisor');
    const [found] = supervisor === undefined || holder === 'supervisor' ? [supervisor] : childrenOf(supervisor, holder);
    if (supervisor === undefined || found === undefined) return false;
    this.#sandboxes.add(basename(wordsOf(supervisor)[1] ?? ''));
    return valueOr(() => process.kill(found, 'SIGKILL'), false);
  }

  /** Its machine is to be gone at last. */
  mustGo(sandbox: string): void {
    this.#sandboxes.add(sandbox);
  }

  /** Machines of programs that were killed are gone. */
  async assertNoMachine(): Promise<void> {
    for (const name of this.#sandboxes) await assertNothingLeft(name, this.#where);
    this.#sandboxes.clear();
  }
}

function wordsOf(pid: number): string[] {
  return valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '').split('\0');
}
