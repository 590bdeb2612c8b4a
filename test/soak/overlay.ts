/**
 * Scenario `overlay`: sandboxes that keep what they write in one directory, one after the other. Each is killed at a
 * random point, or one of its processes. The next starts all the same, and finds whole what was synced.
 */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startSandbox } from '../helpers/run.js';
import { URIS } from './ground.js';
import { Choices } from './plan.js';
import { processes, roleOf, signal } from './processes.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

/** In milliseconds: longer than a start. */
const BOUND_MS = 120_000;
const DRIVERS = ['embed', 'system', 'lxc'] as const;
const VICTIMS = ['launcher', 'supervisor', 'qemu', 'overlay-server', 'nobody'] as const;
/** Those of a container that there are none of. */
const CONTAINERS: Readonly<Record<string, string>> = { qemu: 'libvirt_lxc', 'overlay-server': 'libvirt_lxc' };

/** Says each file that it has written, removed and synced. Each file is as large as its number says. */
const WRITER =
  'mkdir -p /soak; n=$(ls /soak | wc -l); while [ $n -lt 1000 ]; do n=$((n + 1)); head -c $n /dev/zero > /soak/$n.part; ' +
  'mv /soak/$n.part /soak/$n; rm -rf /usr/share/doc; mkdir -p /usr/share/doc/$n; sync; echo $n; done';
/** The files that are not as large as their number. */
const READER =
  'cd /soak && for n in [0-9]*; do case $n in *.part) ;; *) [ $(stat -c %s $n) = $n ] || echo bad $n;; esac; echo $n; done';

export const overlay: Scenario = {
  name: 'overlay',
  what: 'an overlay in a directory, for one sandbox after the other; each is killed while it writes',
  short: 4,
  full: 60,
  run: async ({ ground, seeds, tally }) => {
    const [ofMachines, ofContainers] = ['machines', 'containers'].map((name) =>
      mkdtempSync(`/var/tmp/virt-sandbox-soak-overlay-${name}-`),
    );
    let files = 0;
    try {
      for (const seed of seeds()) {
        const choices = new Choices(seed);
        const [driver, chosen, after] = [choices.one(DRIVERS), choices.one(VICTIMS), choices.below(4000)];
        const isContainer = driver === 'lxc';
        const victim = isContainer ? (CONTAINERS[chosen] ?? chosen) : chosen;
        const where = isContainer ? [`--overlay=${ofContainers}`] : ['-p', `--overlay=${ofMachines}`];
        const options = { ...ground.optionsOf(driver), timeout: BOUND_MS };
        const args = (name: string) => ['-c', URIS[driver], '-n', name, ...where, '--', 'sh', '-c'];
        let synced: string[] = [];
        const findings = await surveyed(ground, seed, driver, async (name) => {
          const running = startSandbox([...args(name), WRITER], options);
          running.result.catch(() => {});
          // Three of four are killed while they write.
          if (choices.chance(75))
            await Promise.race([once(running.child.stdout ?? running.child, 'data'), once(running.child, 'exit')]);
          await sleep(after);
          for (const process of processes().filter((each) => isOf(each.words, name) && roleOf(each) === victim))
            signal(process.pid, 'SIGKILL');
          await sleep(500);
          running.child.kill('SIGTERM');
          synced = (await running.result).out.split('\n').slice(0, -1);
          // The next one of that name removes it.
          return { findings: [], mayLeaveDirectory: victim === 'supervisor' || victim === 'launcher' };
        });
        findings.push(
          ...(await surveyed(ground, seed, driver, async (name) => {
            const read = await endOf([...args(name), READER], options, BOUND_MS);
            if (read === undefined) return { findings: ['the reader hangs'], hangs: true };
            const found = read.out.split('\n');
            files = found.length - 1;
            const missing = synced.filter((number) => !found.includes(number));
            return {
              findings: [
                ...(read.code === 0 || synced.length === 0 ? [] : [`the next run: ${read.stderr.slice(-500)}`]),
                ...missing.map((number) => `${number} was synced, and is gone`),
                ...found.filter((line) => line.startsWith('bad')),
              ],
            };
          })),
        );
        tally.ran(seed, `${driver}: SIGKILL to ${victim} after ${after} ms`, findings);
      }
    } finally {
      for (const kept of [ofMachines, ofContainers]) rmSync(kept ?? '', { recursive: true, force: true });
    }
    return `${files} files at the end`;
  },
};

/** A process of the sandbox has its name in its command line. */
function isOf(words: readonly string[], name: string): boolean {
  return words.some((word) => word.includes(name));
}
