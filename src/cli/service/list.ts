/** virt-sandbox-service list: the services that there are. */
import { runningSandboxes } from '../../control/lazy.js';
import { type ListedService, listServices } from '../../service/list.js';
import { serviceRoots } from '../../service/paths.js';
import { messageOf, oneLine } from '../../util/errors.js';
import { columns, printJson, printLines } from '../output.js';
import { isSet, PROGRAM, type ServiceArguments } from './arguments.js';
import { serviceJson } from './show.js';

const HEADINGS = ['NAME', 'STATE', 'KIND', 'PORTS', 'COMMAND'];

export async function list(args: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  const running = await runningServices();
  const all = await listServices(roots);
  const shown = isSet(args, 'running') ? all.filter(({ name }) => running.has(name)) : all;
  if (isSet(args, 'json'))
    await printJson(
      shown.map((one) => ({
        ...('service' in one ? serviceJson(one.service) : { name: one.name, error: messageOf(one.problem) }),
        state: stateOf(one, running),
      })),
    );
  else if (isSet(args, 'quiet')) await printLines(shown.map(({ name }) => name));
  else if (shown.length > 0) await printLines(columns([HEADINGS, ...shown.map((one) => row(one, running))]));
  else process.stderr.write(`${PROGRAM}: there is no service in ${roots.services}\n`);
  return 0;
}

function stateOf(one: ListedService, running: ReadonlySet<string>): string {
  if (running.has(one.name)) return 'running';
  return 'service' in one ? 'stopped' : 'broken';
}

function row(one: ListedService, running: ReadonlySet<string>): string[] {
  const state = stateOf(one, running);
  if ('problem' in one) return [one.name, state, '-', '-', oneLine(messageOf(one.problem))];
  const { config } = one.service;
  const ports = config.publish.map(({ hostPort, guestPort }) => `${hostPort}->${guestPort}`).join(',');
  const what = config.service?.type === 'systemd' ? config.service.units : config.command;
  return [one.name, state, config.service?.type ?? 'generic', ports || '-', oneLine(what.join(' ')) || '-'];
}

/** The names of those that run. */
async function runningServices(): Promise<ReadonlySet<string>> {
  const running = await runningSandboxes();
  return new Set(running.filter(({ record }) => record?.guest.service === true).map(({ name }) => name));
}
