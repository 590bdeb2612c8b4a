/** Scenario `kept`: sandboxes write to an overlay in an image, one after the other, and each is killed at some moment. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ctl } from '../helpers/ctl.js';
import { qemuOf } from '../helpers/leftovers.js';
import { startSandbox } from '../helpers/run.js';
import { type Driver, type Ground, PREFIX, URIS } from './ground.js';
import { Choices } from './plan.js';
import { signal } from './processes.js';
import { argumentsOf } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const DRIVERS = ['embed', 'system', 'user-embed', 'session'] as const satisfies readonly Driver[];
const VICTIMS = ['launcher', 'qemu', 'none'] as const;

/** In milliseconds: how long a sandbox may take that only looks. */
const LOOK_MS = 120_000;

export const kept: Scenario = {
  name: 'kept',
  what: 'SIGKILL while an overlay in an image is written to, and looked into',
  short: 6,
  full: 200,
  run: async ({ ground, seeds, tally }) => {
    const images = new Map<Driver, { readonly path: string; turns: number }>();
    let killed = 0;
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const driver = choices.one(DRIVERS);
      const victim = choices.one(VICTIMS);
      const delay = choices.below(400);
      // Before the survey, to which a new file is something that was left.
      const image = images.get(driver) ?? { path: await imageFor(ground, driver), turns: 0 };
      images.set(driver, image);
      const findings = await surveyed(ground, seed, driver, async (name) => {
        const turn = image.turns;
        const script = `echo ${turn} > /kept.${turn}; sync; echo synced; while :; do cp -r /usr/lib/os-release /etc /made; rm -r /made; done`;
        const running = startSandbox([...wordsOf(ground, name, driver, image.path), 'sh', '-c', script], {
          ...ground.optionsOf(driver),
          timeout: LOOK_MS,
        });
        const began = await running.until(/synced/).then(
          () => true,
          () => false,
        );
        if (began) image.turns += 1;
        // It is looked into while it is written to, and while it ends.
        const asked = began ? ask(ground, driver, name) : undefined;
        await sleep(delay);
        const pid = victim === 'qemu' ? qemuOf(name) : running.pid;
        if (pid !== undefined && signal(pid, victim === 'none' ? 'SIGTERM' : 'SIGKILL')) killed += 1;
        await running.result.catch(() => {});
        const failure = began ? await asked : `it did not write: ${running.stderr()}`;
        return { findings: failure === undefined ? [] : [failure], mayLeaveDirectory: true };
      });
      findings.push(...(await looked(ground, seed, driver, image)));
      tally.ran(seed, `${driver}, ${victim} after ${delay} ms`, findings);
    }
    const turns = [...images.values()].map(({ turns: number }) => number);
    return `${killed} killed; ${turns.join(', ')} turns on ${images.size} images`;
  },
};

/** Asks what a sandbox has changed. @returns what is wrong with the answer; an end of the sandbox is nothing */
async function ask(ground: Ground, driver: Driver, name: string): Promise<string | undefined> {
  try {
    const { code, stderr } = await ctl(['diff', name], { ...ground.optionsOf(driver), timeout: LOOK_MS });
    const isError = code === 125 && /^virt-sandbox-ctl: [a-z]+: [^;\n]+; .+\n$/.test(stderr);
    return code === 0 || isError ? undefined : `diff ended with ${code}: ${stderr}`;
  } catch (error) {
    return String(error);
  }
}

/** What was synced in each turn is there, and the image is whole. */
async function looked(ground: Ground, seed: number, driver: Driver, image: { path: string; turns: number }) {
  const script = `for i in $(seq 0 ${image.turns - 1}); do [ "$(cat /kept.$i)" = $i ] || echo lost $i; done; echo x > /w`;
  const words = wordsOf(ground, `${PREFIX}look-${seed.toString(16)}`, driver, image.path);
  const ended = await endOf([...words, 'sh', '-c', script], ground.optionsOf(driver), LOOK_MS);
  const findings: string[] = [];
  if (ended?.code !== 0 || ended.out !== '') findings.push(`it is not kept: ${ended?.out} ${ended?.stderr}`);
  try {
    execFileSync('qemu-img', ['check', '-q', image.path], { stdio: 'pipe' });
  } catch (error) {
    // Status 3: clusters are lost, which is space and nothing else.
    if ((error as { readonly status?: number }).status !== 3) findings.push(`the image is broken: ${String(error)}`);
  }
  const others = readdirSync(dirname(image.path)).filter((name) => name !== 'kept.qcow2');
  return [...findings, ...others.map((name) => `it left ${name}`)];
}

function wordsOf(ground: Ground, name: string, driver: Driver, path: string): string[] {
  const plain = { driver, boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;
  return [...argumentsOf(ground, name, plain), '-p', `--overlay=${path}`, '--'];
}

async function imageFor(ground: Ground, driver: Driver): Promise<string> {
  const directory = join(ground.directory, `kept-${driver}`);
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  const [uid = 0, gid = 0] = driver === 'session' || driver === 'user-embed' ? [65_534, 65_534] : [];
  chownSync(directory, uid, gid);
  const path = join(directory, 'kept.qcow2');
  await ground.daemons.ensure(URIS[driver]);
  const words = wordsOf(ground, `${PREFIX}make-${driver}`, driver, path);
  const ended = await endOf([...words, 'true'], ground.optionsOf(driver), LOOK_MS);
  if (ended?.code !== 0) throw new Error(`no image for ${driver}: ${ended?.stderr}`);
  return path;
}
