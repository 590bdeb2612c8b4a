// Runs a script again in a mount namespace of its own, with mounts that the machine does not see.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';

/**
 * Runs `script` (for sh, with `args` as $1…) and then this program with its arguments once more, both in a new mount
 * namespace.
 * @param {string} program the path of this program, as seen after the script
 * @returns {Promise<number>} its exit status
 */
export async function runAgain(program, script, args, env = process.env) {
  const shell = ['sh', '-euc', `${script}\nexec "$@"`, 'sh', ...args];
  // Whatever a daemon leaves behind becomes a child of tini, which reaps it: libvirt waits for that, and PID 1 of some
  // containers looks for ended processes once a second.
  const again = ['tini', '-s', '--', process.execPath, program, ...process.argv.slice(2)];
  // It has daemons to stop at its end, so it is told to end also when this process is killed.
  const bound = ['setpriv', '--pdeathsig', 'TERM', '--', ...shell, ...again];
  // In a process group of its own: Ctrl+C would reach it twice, once from the terminal and once from here.
  const options = { stdio: 'inherit', env, detached: true };
  const child = spawn('unshare', ['--mount', '--propagation', 'slave', '--', ...bound], options);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit');
  return code ?? 1;
}
