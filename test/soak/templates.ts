/**
 * Scenario `templates`: pulls of a template of virt-builder, each ended by a signal at some time. libguestfs and QEMU end
 * too, and leave nothing; what a killed pull has in the store goes with the next one.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesWith } from '../helpers/leftovers.js';
import { makeTemplates, sockets, socketsLeft, unlessVirtBuilder } from '../helpers/oci/virt-builder.js';
import { PROGRAM, type RunOptions, startSandbox } from '../helpers/run.js';
import { Choices } from './plan.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

/** In milliseconds, on a busy host where machines are emulated. */
const BOUND_MS = 600_000;
/** In milliseconds: a pull takes about this long. */
const LATEST_SIGNAL = 30_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const;

export const templates: Scenario = {
  name: 'templates',
  what: 'pulls of a template of virt-builder that a signal ends',
  short: 1,
  full: 20,
  run: async ({ ground, seeds, tally, say }) => {
    const lacking = unlessVirtBuilder();
    if (lacking !== false) {
      say(`templates: ${lacking}`);
      return lacking;
    }
    const counts = { ended: 0, done: 0 };
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const [signal, after] = [choices.one(SIGNALS), choices.below(LATEST_SIGNAL)];
      const findings = await surveyed(ground, seed, 'embed', async () => {
        const directory = join(ground.directory, 'templates');
        mkdirSync(directory, { mode: 0o755 });
        try {
          const { env } = makeTemplates(directory);
          const options = { ...ground.optionsOf('embed'), program: `${PROGRAM}-image`, timeout: BOUND_MS };
          const own: RunOptions = { ...options, env: { ...options.env, ...env, XDG_CACHE_HOME: directory } };
          return { findings: await endedPull(join(directory, 'virt-sandbox/oci'), own, { signal, after, counts }) };
        } finally {
          rmSync(directory, { recursive: true, force: true });
        }
      });
      tally.ran(seed, `${signal} after ${after} ms`, findings);
    }
    return `${counts.ended} ended, ${counts.done} done before`;
  },
};

interface Attempt {
  readonly signal: NodeJS.Signals;
  /** In milliseconds. */
  readonly after: number;
  readonly counts: { ended: number; done: number };
}

async function endedPull(store: string, options: RunOptions, { signal, after, counts }: Attempt): Promise<string[]> {
  const findings: string[] = [];
  const before = sockets();
  const running = startSandbox(['pull', 'virt-builder:///test-1'], options);
  // What ends before gets no signal.
  await Promise.race([sleep(after), running.result.catch(() => {})]);
  running.child.kill(signal);
  // A terminal that is closed may send two. Two at once are often one when the program gets to them.
  if (signal === 'SIGHUP') running.child.kill(signal);
  const ended = await running.result.catch(() => undefined);
  if (ended === undefined) return ['the pull hangs'];
  if (ended.code === 0) counts.done += 1;
  else counts.ended += 1;
  // A program of libguestfs whose caller is killed runs on, until somebody prunes.
  if (signal === 'SIGKILL') await endOf(['prune'], options, BOUND_MS);
  findings.push(...processesWith(store).map((line) => `left running: ${line}`));
  findings.push(...(await socketsLeft(before)).map((name) => `left in /tmp: ${name}`));
  if (signal !== 'SIGKILL') findings.push(...workspaces(store));
  for (const words of [['prune'], ['pull', 'virt-builder:///test-1'], ['prune', '--all'], ['verify']]) {
    const { code, stderr } = (await endOf(words, options, BOUND_MS)) ?? {};
    if (code !== 0) findings.push(`${words.join(' ')} at the end: ${stderr?.slice(-600)}`);
    findings.push(...workspaces(store));
  }
  return findings;
}

function workspaces(store: string): string[] {
  const roots = join(store, 'roots');
  // A signal may come before there is a store.
  return (existsSync(roots) ? readdirSync(roots) : [])
    .filter((name) => name.startsWith('.build'))
    .map((name) => `left in the store: ${name}`);
}
