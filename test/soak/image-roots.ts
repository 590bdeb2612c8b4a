/**
 * Scenario `image-roots`: containers whose root is an OCI image, with an overlay in memory or in a directory. Each is
 * killed at a random point, or one of its processes. The next starts all the same, and no loop device stays.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { leftAtLast } from '../helpers/leftovers.js';
import { busyboxImage } from '../helpers/oci/root-images.js';
import { startSandbox } from '../helpers/run.js';
import { URIS } from './ground.js';
import { Choices } from './plan.js';
import { processes, roleOf, signal } from './processes.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

/** In milliseconds: longer than a start. */
const BOUND_MS = 120_000;
const VICTIMS = ['launcher', 'supervisor', 'libvirt_lxc', 'nobody'] as const;

/** Says how often it has been here, when that is synced. */
const COUNT = 'echo x >> /etc/turns; sync; wc -l < /etc/turns';

export const imageRoots: Scenario = {
  name: 'image-roots',
  what: 'SIGKILL of containers whose root is an OCI image',
  short: 4,
  full: 60,
  run: async ({ ground, seeds, tally }) => {
    const own = mkdtempSync('/var/tmp/virt-sandbox-soak-image-');
    let turns = 0;
    try {
      mkdirSync(join(own, 'cache'));
      const image = busyboxImage(join(own, 'image'));
      // Known when the daemons run.
      const options = () => {
        const { env, ...others } = ground.optionsOf('lxc');
        return { ...others, env: { ...env, XDG_CACHE_HOME: join(own, 'cache') }, timeout: BOUND_MS };
      };
      const kept = `--overlay=${join(own, 'kept')}`;
      for (const seed of seeds()) {
        const choices = new Choices(seed);
        const [victim, after, isKept] = [choices.one(VICTIMS), choices.below(3000), choices.chance(70)];
        const args = (name: string) => ['-c', URIS.lxc, '-n', name, '--root', image, ...(isKept ? [kept] : [])];
        const findings = await surveyed(ground, seed, 'lxc', async (name) => {
          const script = `${COUNT}; exec sleep 1000`;
          const running = startSandbox([...args(name), '--', 'sh', '-c', script], options());
          running.result.catch(() => {});
          await sleep(after);
          for (const process of processes().filter((each) => isOf(each.words, name) && roleOf(each) === victim))
            signal(process.pid, 'SIGKILL');
          await sleep(500);
          running.child.kill('SIGTERM');
          const said = Number((await running.result).out);
          if (isKept && said > 0) turns = Math.max(turns, said);
          // The next one of that name removes it.
          return { findings: [], mayLeaveDirectory: victim === 'supervisor' || victim === 'launcher' };
        });
        findings.push(
          ...(await surveyed(ground, seed, 'lxc', async (name) => {
            const next = await endOf([...args(name), '--', 'sh', '-c', COUNT], options(), BOUND_MS);
            if (next === undefined) return { findings: ['the next run hangs'], hangs: true };
            if (next.code !== 0) return { findings: [`the next run: ${next.stderr.slice(-500)}`] };
            const found = Number(next.out);
            const lost = isKept && found <= turns ? [`${turns} turns were synced, and this is number ${found}`] : [];
            if (isKept) turns = found;
            return { findings: [...lost, ...(!isKept && found !== 1 ? ['memory has kept what was written'] : [])] };
          })),
          ...(await leftAtLast(() => loopsOf(own))).map((line) => `a loop device stays: ${line}`),
        );
        tally.ran(seed, `SIGKILL to ${victim} after ${after} ms${isKept ? ', kept' : ''}`, findings);
      }
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
    return `${turns} turns in the directory`;
  },
};

function loopsOf(directory: string): string[] {
  const lines = execFileSync('losetup', ['--list', '--noheadings'], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => line.includes(directory));
}

/** A process of the sandbox has its name in its command line. */
function isOf(words: readonly string[], name: string): boolean {
  return words.some((word) => word.includes(name));
}
