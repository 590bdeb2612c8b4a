/** Services for one test: they are removed after it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Way } from './connections.js';
import { uniqueName } from './leftovers.js';
import { type Running, type RunOptions, type RunResult, runSandbox, SERVICE_PROGRAM, startSandbox } from './run.js';

/** Where root's services are. */
export const SERVICES = '/etc/libvirt-sandbox/services';
export const LIVES = '/var/lib/libvirt-sandbox/services';

/** Between two looks, in milliseconds. */
const LOOK_MS = 50;

/** For what a service is to come to, in milliseconds. It may boot twice until then, on a loaded machine. */
const PATIENCE_MS = 180_000;

/** What `status --json` says of a service. */
export interface Status {
  readonly state: string;
  readonly pid?: number;
  readonly restarts: number;
  /** When it starts again, of one that waits. */
  readonly again?: string;
  readonly unlogged?: string;
  readonly since: string;
  readonly health?: { readonly isWell: boolean; readonly failures: number; readonly said?: string };
  readonly lastEnd?: {
    readonly why: string;
    readonly exitCode: number;
    readonly signal?: string;
    readonly text: string;
  };
  readonly ports: readonly { readonly host: string; readonly guestPort: number }[];
  readonly sandbox?: { readonly uri: string; readonly platform: string; readonly boot?: string };
  readonly units?: readonly { readonly unit: string; readonly active: string }[];
  readonly idleLimits?: readonly string[];
  readonly memory?: { readonly memoryBytes: number; readonly holderBytes: number };
}

/** A service, and what is done with it over one connection. */
export class TestService {
  constructor(
    readonly name: string,
    readonly way: Way,
  ) {}

  /** Runs `virt-sandbox-service COMMAND [OPTIONS] NAME [WORDS]` to its end. */
  async run(
    [command = '', ...given]: readonly string[],
    words: readonly string[] = [],
    options: RunOptions = {},
  ): Promise<RunResult> {
    return runSandbox([command, ...given, this.name, ...words], {
      program: SERVICE_PROGRAM,
      ...this.way.options,
      ...options,
    });
  }

  /** As {@link run}, and it succeeds without a word on stderr. @returns what it prints */
  async ok(given: readonly string[], words: readonly string[] = [], options: RunOptions = {}): Promise<string> {
    const { code, signal, out, stderr } = await this.run(given, words, options);
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, given.join(' '));
    return out;
  }

  /** As {@link run}, and it fails with one line with message and remedy. @returns all of stderr */
  async fails(given: readonly string[], pattern: RegExp, words: readonly string[] = []): Promise<string> {
    const { code, out, stderr } = await this.run(given, words);
    assert.deepEqual({ code, out }, { code: 125, out: '' }, stderr);
    assert.match(stderr, /^virt-sandbox-service: [a-z]+: [^\n]+; [^\n]+\n( {2}guest: [^\n]*\n)*$/);
    assert.match(stderr, pattern);
    return stderr;
  }

  /** Starts `virt-sandbox-service COMMAND [OPTIONS] NAME`. */
  begin([command = '', ...given]: readonly string[], options: RunOptions = {}): Running {
    return startSandbox([command, ...given, this.name], { program: SERVICE_PROGRAM, ...this.way.options, ...options });
  }

  /** Runs words in its shell. @returns what they print */
  async inside(script: string, ...options: readonly string[]): Promise<string> {
    return this.ok(['execute', ...options], ['--', 'sh', '-c', script]);
  }

  /** On a busy host the holder of one that runs may not answer in time; it is asked again then. */
  async status(): Promise<Status> {
    return this.eventually(
      async () => {
        const { out, stderr } = await this.run(['status', '--json']);
        assert.equal(stderr, '');
        const [status] = JSON.parse(out) as Status[];
        return status ?? assert.fail(out);
      },
      ({ state, sandbox, memory }) => state !== 'running' || (sandbox !== undefined && memory !== undefined),
    );
  }

  /** Waits until it is so. */
  async until(holds: (status: Status) => boolean): Promise<Status> {
    return this.eventually(() => this.status(), holds);
  }

  /** Waits until its log, which only grows, is `text`. */
  async untilLog(text: string): Promise<void> {
    await this.eventually(
      () => this.log(),
      (log) => {
        assert.equal(log, text.slice(0, log.length));
        return log === text;
      },
    );
  }

  /** Looks again and again, until it is so. */
  async eventually<T>(look: () => Promise<T>, holds: (found: T) => boolean): Promise<T> {
    for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(LOOK_MS)) {
      const found = await look();
      if (holds(found)) return found;
      assert.ok(Date.now() < deadline, `after ${PATIENCE_MS} ms it is ${JSON.stringify(found)}`);
    }
  }

  async log(...options: readonly string[]): Promise<string> {
    const { out, stderr, code } = await this.run(['logs', ...options]);
    assert.equal(code, 0, stderr);
    return out;
  }

  /** Adds keys to [service] of its sandbox.cfg. */
  set(keys: Readonly<Record<string, string | number>>): void {
    if (Object.keys(keys).length === 0) return;
    const lines = Object.entries(keys).map(([key, value]) => `${key}=${value}\n`);
    const group = '[service]\n';
    this.change((text) => {
      const whole = text.includes(group) ? text : text + group;
      return whole.replace(group, group + lines.join(''));
    });
  }

  /** Changes its sandbox.cfg, which has what is to be changed. */
  change(by: (text: string) => string): void {
    const path = `${SERVICES}/${this.name}/config/sandbox.cfg`;
    const text = readFileSync(path, 'utf8');
    const changed = by(text);
    assert.notEqual(changed, text, 'the file is as before');
    writeFileSync(path, changed);
  }
}

export interface WantedService {
  /** Of `create`. */
  readonly options?: readonly string[];
  /** A script of the shell inside. */
  readonly script: string;
  /** It has a state. Others start from the snapshot of the tests, which has no overlay. */
  readonly isKept?: boolean;
  /** Further keys of `[service]`. */
  readonly keys?: Readonly<Record<string, string | number>>;
}

/** Creates a service, and deletes it after the test. */
export async function serviceOf(t: TestContext, way: Way, wanted: WantedService): Promise<TestService> {
  const { options = [], script, isKept = false, keys = {} } = wanted;
  const service = await createdService(t, way, options, ['--', 'sh', '-c', script]);
  service.set(keys);
  if (!isKept) service.change((text) => text.replace(/^\[overlay\]\n(?:[a-z].*\n)*/m, ''));
  return service;
}

/** The same of any service. @param what stands behind the name */
export async function createdService(
  t: TestContext,
  way: Way,
  options: readonly string[],
  what: readonly string[] = [],
): Promise<TestService> {
  const name = uniqueName();
  const given = { program: SERVICE_PROGRAM, ...way.options };
  const { code, stderr } = await runSandbox(['-c', way.uri, 'create', ...options, name, ...what], given);
  assert.equal(code, 0, stderr);
  t.after(async () => {
    await runSandbox(['stop', '-t', '0', name], given);
    await runSandbox(['delete', name], given);
  });
  return new TestService(name, way);
}
