/** virt-sandbox-service list: the services that there are. */
import type { SandboxConfig } from '../../config/types.js';
import { type ListedService, listServices, mayBeOf } from '../../service/list.js';
import { type ServiceRoots, servicePaths, serviceRoots } from '../../service/paths.js';
import { lifeOf } from '../../service/run/status.js';
import { messageOf, oneLine } from '../../util/errors.js';
import { columns, printJson, printLines } from '../output.js';
import { isSet, type ServiceArguments, textOf } from './arguments.js';
import { tellOldUnit } from './old-unit.js';
import { say } from './say.js';
import { serviceJson } from './show.js';

const HEADINGS = ['NAME', 'STATE', 'KIND', 'PORTS', 'COMMAND'];

export async function list(args: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  const uri = textOf(args, 'connect');
  const there = (await listServices(roots)).filter((one) => uri === undefined || mayBeOf(one, uri));
  const all = there.map((one) => ({ ...one, state: stateOf(one, roots) }));
  const shown = isSet(args, 'running') ? all.filter(({ state }) => !OVER.includes(state)) : all;
  if (isSet(args, 'json'))
    await printJson(
      shown.map((one) => ({
        ...('service' in one ? serviceJson(one.service) : { name: one.name, error: messageOf(one.problem) }),
        state: one.state,
      })),
    );
  else if (isSet(args, 'quiet')) await printLines(shown.map(({ name }) => name));
  else if (shown.length > 0) await printLines(columns([HEADINGS, ...shown.map(row)]));
  else say(`there is no service${uri === undefined ? '' : ` of ${uri}`} in ${roots.services}`);
  for (const { name } of shown) tellOldUnit(name);
  return 0;
}

/** One of libvirt-sandbox names no units, but a target. */
function whatOf({ service, command }: SandboxConfig): readonly string[] {
  if (service?.type !== 'systemd') return command;
  return service.units.length > 0 ? service.units : [service.bootTarget];
}

/** States of services that nobody holds. */
const OVER: readonly string[] = ['stopped', 'failed', 'broken'];

type Shown = ListedService & { readonly state: string };

function stateOf(one: ListedService, roots: ServiceRoots): string {
  const { phase, pid } = lifeOf(one.name, servicePaths(roots, one.name));
  return pid === undefined && 'problem' in one ? 'broken' : phase;
}

function row(one: Shown): string[] {
  const { state } = one;
  if ('problem' in one) return [one.name, state, '-', '-', oneLine(messageOf(one.problem))];
  const { config } = one.service;
  const ports = config.publish.map(({ hostPort, guestPort }) => `${hostPort}->${guestPort}`).join(',');
  const what = whatOf(config);
  return [one.name, state, config.service?.type ?? 'generic', ports || '-', oneLine(what.join(' ')) || '-'];
}
