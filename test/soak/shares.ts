/** Scenario `shares`: something happens to a shared directory on the host, while the sandbox reads and writes there. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processesWith } from '../helpers/leftovers.js';
import { type RunResult, startSandbox } from '../helpers/run.js';
import type { Driver, Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import { signal } from './processes.js';
import { argumentsOf } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { surveyed } from './survey.js';

const BOUND_MS = 120_000;
const CHANGES = ['removed', 'renamed', 'replaced', 'unmounted', 'full', 'server killed'] as const;
type Change = (typeof CHANGES)[number];

/** It reads and writes until it is told, and ends with 7 whatever became of the directory. */
const APPLICATION = `exec 2>/dev/null
(while :; do ls -lR /mnt; cat /mnt/hello; head -c 64k /dev/zero >/mnt/new-$$; rm -f /mnt/new-$$; done) >/dev/null &
echo running; read line; kill $!; wait; echo over; exit 7`;

export const shares: Scenario = {
  name: 'shares',
  what: 'a shared directory removed, renamed, replaced, unmounted, full, or without its server',
  short: 10,
  full: 150,
  run: async ({ ground, seeds, tally }) => {
    const counts = new Map<string, number>();
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const driver = choices.one(['embed', 'system', 'user-embed', 'session'] as const);
      const isRoot = driver === 'embed' || driver === 'system';
      // QEMU itself serves an ordinary user's directories.
      const change = choices.one(CHANGES.filter((each) => isRoot || each !== 'server killed'));
      const boot = choices.chance(80) ? 'warm' : 'cold';
      const wait = choices.below(300);
      const findings = await surveyed(ground, seed, driver, async (name) => ({
        findings: await runOne(ground, name, { driver, boot, change, wait }),
      }));
      counts.set(change, (counts.get(change) ?? 0) + 1);
      tally.ran(seed, `${driver} ${boot}: ${change}`, findings);
    }
    return [...counts].map(([change, count]) => `${change} ${count}`).join(', ');
  },
};

interface Plan {
  readonly driver: Driver;
  readonly boot: 'warm' | 'cold';
  readonly change: Change;
  /** In milliseconds, from when it reads and writes. */
  readonly wait: number;
}

async function runOne(ground: Ground, name: string, { driver, boot, change, wait }: Plan): Promise<string[]> {
  const own = join(ground.directory, 'changed');
  const share = join(own, 'share');
  try {
    mkdirSync(share, { recursive: true, mode: 0o755 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4M,mode=755', share, share]);
    // What is not to be unmounted need not be a mount.
    if (change !== 'unmounted' && change !== 'full') execFileSync('umount', [share]);
    fill(ground, driver, share);
    const none = { terminal: false, share: false, network: false, disk: false } as const;
    const args = [...argumentsOf(ground, name, { driver, boot, ...none }), '-m', `host-bind:/mnt=${share}`];
    const options = { ...ground.optionsOf(driver), timeout: BOUND_MS, input: 'open' } as const;
    const running = startSandbox([...args, '--', 'sh', '-c', APPLICATION], options);
    const ended = running.result.catch(() => undefined);
    const isRunning = await running.until(/running/).then(
      () => true,
      () => false,
    );
    if (isRunning) {
      await sleep(wait);
      apply(change, share);
      running.child.stdin?.end('\n');
    }
    return judge(await ended, change);
  } finally {
    for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n'))
      if (line.includes(` ${share} `)) execFileSync('umount', ['--lazy', share]);
    rmSync(own, { recursive: true, force: true });
  }
}

function fill(ground: Ground, driver: Driver, share: string): void {
  const isUser = driver === 'session' || driver === 'user-embed';
  writeFileSync(join(share, 'hello'), 'hello\n'.repeat(1000));
  if (!isUser) return;
  for (const path of [share, join(share, 'hello')]) chownSync(path, ground.user.uid, ground.user.gid);
}

function apply(change: Change, share: string): void {
  switch (change) {
    case 'removed':
      rmSync(share, { recursive: true, force: true, maxRetries: 10 });
      break;
    case 'replaced':
    case 'renamed':
      renameSync(share, `${share}-moved`);
      if (change === 'replaced') mkdirSync(share);
      break;
    case 'unmounted':
      execFileSync('umount', ['--lazy', share]);
      break;
    case 'full':
      fillUp(join(share, `full-${readdirSync(share).length}`));
      break;
    case 'server killed':
      for (const line of processesWith(share))
        if (line.includes('--shared-dir')) signal(Number.parseInt(line, 10), 'SIGKILL');
  }
}

function fillUp(path: string): void {
  try {
    writeFileSync(path, Buffer.alloc(8 << 20));
  } catch {
    // As it should.
  }
}

function judge(ended: RunResult | undefined, change: Change): string[] {
  if (ended === undefined) return ['it hangs'];
  const { code, signal: by, out, stderr } = ended;
  const isWell = code === 7 && out === 'running\nover\n';
  // One whose server is killed may have ended before that is seen.
  if (change === 'server killed' && code === 125 && FAILURE.test(stderr)) return [];
  return isWell ? [] : [`status ${code ?? by}: ${out}${stderr.slice(-500)}`];
}
