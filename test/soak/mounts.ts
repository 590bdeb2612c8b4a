/** Scenario `mounts`: a mount of the host comes and goes while a sandbox starts, which sees all mounts of the root. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Driver, Ground } from './ground.js';
import { FAILURE } from './outcome.js';
import { Choices } from './plan.js';
import { argumentsOf, type Configuration, describeConfiguration } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';

const BOUND_MS = 120_000;
const DRIVERS = ['lxc', 'embed', 'user-embed', 'system'] as const;
/** What a container says that was started six times, and each time lacked a mount. */
const GONE = /libvirt does not find .*, which the host had when container /;

interface Plan {
  readonly configuration: Configuration;
  /** What is mounted there: the caller's home, or the directory that it is in. */
  readonly what: 'home' | '.';
  /** How long the mount is there, and how long not, in milliseconds. */
  readonly pause: number;
}

export const mounts: Scenario = {
  name: 'mounts',
  what: 'a mount of the host that comes and goes while a sandbox starts',
  short: 8,
  full: 120,
  run: async ({ ground, seeds, tally }) => {
    const counts = { again: 0, gone: 0 };
    for (const seed of seeds()) {
      const plan = planOf(seed);
      const { configuration, pause, what } = plan;
      const findings = await surveyed(ground, seed, configuration.driver, async (name) => {
        const { again, gone, ...survey } = await runOne(ground, name, plan);
        counts.again += again;
        counts.gone += gone;
        return survey;
      });
      tally.ran(seed, `${describeConfiguration(configuration)}, mounting ${what}, pauses of ${pause} ms`, findings);
    }
    return `containers started again ${counts.again} times, given up ${counts.gone} times`;
  },
};

function planOf(seed: number): Plan {
  const choices = new Choices(seed);
  const driver = choices.one(DRIVERS);
  const boot = choices.chance(70) ? 'warm' : 'cold';
  const [virtiofs, overlay] = [choices.chance(50), driver === 'lxc' && choices.chance(50)];
  const none = { terminal: false, share: false, network: false, disk: false } as const;
  const configuration = { driver, boot, ...none, ...(driver === 'lxc' ? {} : { virtiofs }), overlay } as const;
  return { configuration, what: choices.one(['home', '.'] as const), pause: choices.between(1, 80) };
}

async function runOne(ground: Ground, name: string, { configuration, what, pause }: Plan) {
  const { driver } = configuration;
  // Not in /tmp, which a sandbox has of its own.
  const own = mkdtempSync('/var/tmp/virt-sandbox-soak-mounts-');
  const [home, target] = [join(own, 'above/home'), join(own, 'target')];
  mkdirSync(home, { recursive: true });
  execFileSync('chmod', ['-R', 'a+rX', own]);
  writeFileSync(join(home, 'file'), 'SECRET\n', { mode: 0o644 });
  const stop = comeAndGo(ground, driver, join(own, 'above', what), target, pause);
  let wasMounting = false;
  try {
    // An ordinary user has no such home.
    const { env, ...options } = ground.optionsOf(driver);
    const hides = driver !== 'user-embed';
    const how = { ...options, env: { ...env, ...(hides ? { HOME: home } : {}) } };
    const application = `${hides ? `! grep -rqs SECRET ${own} || exit 9; ` : ''}ls -d /usr >/dev/null || exit 8; echo x; exit 7`;
    const words = [...argumentsOf(ground, name, configuration), ...(hides ? ['--home', 'tmp'] : []), '-v'];
    const ended = await endOf([...words, '--', 'sh', '-c', application], how, BOUND_MS);
    wasMounting = await stop();
    if (ended === undefined) return { findings: ['it hangs'], hangs: true, again: 0, gone: 0 };
    const { code, signal, out, stderr } = ended;
    const again = stderr.split('mounts: started again').length - 1;
    const gone = driver === 'lxc' && code === 125 && FAILURE.test(stderr) && GONE.test(stderr) ? 1 : 0;
    const isWell = (code === 7 && out === 'x\n') || gone === 1;
    const findings = [
      ...(isWell ? [] : [`status ${code ?? signal}${code === 9 ? ', the home is seen' : ''}: ${stderr.slice(-800)}`]),
      ...(wasMounting ? [] : ['nothing has come and gone']),
    ];
    return { findings, again, gone };
  } finally {
    await stop();
    rmSync(own, { recursive: true });
  }
}

/**
 * Mounts and unmounts where the sandbox's server of files sees it.
 * @returns has it end; true: it has mounted until then. Nothing is mounted there afterwards
 */
function comeAndGo(ground: Ground, driver: Driver, from: string, target: string, pause: number) {
  const through = driver === 'lxc' ? ground.daemons.besideLxc : [];
  // The trap comes when the command has ended that runs then, so that none is still to come.
  const script =
    'trap "exit 0" TERM; ' +
    'while mkdir -p "$1" && mount --bind "$0" "$1"; do ' +
    // Not where a machine over qemu:///system has it.
    'sleep "$2"; umount -l "$1"; rmdir "$1" 2>/dev/null; sleep "$2"; done; exit 1';
  const [program = '', ...words] = [...through, 'sh', '-c', script, from, target, String(pause / 1000)];
  const mounting = spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = once(mounting, 'exit').then(
    ([code]) => code === 0,
    () => false,
  );
  return async (): Promise<boolean> => {
    mounting.kill('SIGTERM');
    const wasMounting = await exited;
    const [undo = '', ...rest] = [...through, 'sh', '-c', 'while umount -l "$0" 2>/dev/null; do :; done', target];
    execFileSync(undo, rest);
    return wasMounting;
  };
}
