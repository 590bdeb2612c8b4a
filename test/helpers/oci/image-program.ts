/** Runs virt-sandbox-image with a store and a home of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { copyFacts } from '../cache.js';
import { AtTerminal, type Size } from '../pty.js';
import { REPOSITORY, type Running, type RunOptions, type RunResult, startSandbox } from '../run.js';
import { scratchDirectory } from '../scratch.js';

const PROGRAM = `${REPOSITORY}bin/virt-sandbox-image`;

/** What a pull says of itself when it takes long, as on a busy host. */
const PROGRESS =
  /^virt-sandbox-image: (?:looking for the image|making a disk with virt-builder|reading the files of that disk|fetching: [^\n]*|merging the layers|making the file system)\n/gm;

export interface ImageProgram {
  /** XDG_CACHE_HOME, HOME and where it keeps passwords. */
  readonly directory: string;
  /** Its store of images. */
  readonly store: string;
  start(words: readonly string[], options?: RunOptions): Running;
  run(words: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** What it prints when it succeeds, without a word on stderr. */
  out(...words: readonly string[]): Promise<string>;
  /** The same as JSON. */
  json(...words: readonly string[]): Promise<unknown>;
  /** Asserts that it fails, with one line that fits the pattern. */
  fails(words: readonly string[], pattern: RegExp, options?: RunOptions): Promise<void>;
  atTerminal(words: readonly string[], size?: Size): AtTerminal;
}

export function imageProgram(context: TestContext): ImageProgram {
  const directory = scratchDirectory(context);
  // It is not to find out first whether KVM runs a guest, which may take a minute.
  copyFacts(join(directory, 'virt-sandbox'));
  const own = {
    XDG_CACHE_HOME: directory,
    HOME: directory,
    XDG_RUNTIME_DIR: directory,
    XDG_CONFIG_HOME: join(directory, '.config'),
    DOCKER_CONFIG: undefined,
    REGISTRY_AUTH_FILE: undefined,
    http_proxy: undefined,
    HTTP_PROXY: undefined,
  };
  const withOwn = (options: RunOptions = {}): RunOptions => ({
    ...options,
    program: PROGRAM,
    env: { ...own, ...options.env },
  });
  const start = (words: readonly string[], options?: RunOptions) => startSandbox(words, withOwn(options));
  const run = (words: readonly string[], options?: RunOptions) => start(words, options).result;
  const out = async (...words: readonly string[]) => {
    const { code, stderr, out: text } = await run(words);
    assert.deepEqual({ code, stderr: stderr.replace(PROGRESS, '') }, { code: 0, stderr: '' });
    return text;
  };
  return {
    directory,
    store: join(directory, 'virt-sandbox', 'oci'),
    start,
    run,
    out,
    json: async (...words) => JSON.parse(await out(...words, '--json')) as unknown,
    fails: async (words, pattern, options) => {
      const { code, stderr: all } = await run(words, options);
      const stderr = all.replace(PROGRESS, '');
      assert.equal(code, 125, all);
      assert.match(stderr, /^virt-sandbox-image: [a-z]+: [^;\n]+; [^\n]+\n$/);
      assert.match(stderr, pattern);
    },
    atTerminal: (words, size = { rows: 24, columns: 100 }) => {
      const terminal = new AtTerminal(words, size, { program: PROGRAM, env: own });
      context.after(() => terminal.close());
      return terminal;
    },
  };
}
