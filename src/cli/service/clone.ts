/** virt-sandbox-service clone: makes a service of what another one is at this moment. */
import { publishText } from '../../config/parsers/publish.js';
import { type Cloned, cloneService } from '../../service/clone/clone.js';
import { serviceRoots } from '../../service/paths.js';
import { printJson } from '../output.js';
import { untilSignal } from '../until-signal.js';
import { isSet, type ServiceArguments, textOf, textsOf } from './arguments.js';
import { nameOf } from './each-service.js';
import { say } from './say.js';
import { serviceJson } from './show.js';
import { sourceControl, whenRunning } from './source-control.js';
import { sayWait } from './waiting.js';

/** Of a clone that is made while its source does not run again. */
const FAILED = 125;

export async function clone(args: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  const [, name = ''] = args.words;
  const source = await nameOf(args);
  const options = {
    path: textOf(args, 'path'),
    security: textOf(args, 'security'),
    publish: ifAny(textsOf(args, 'publish')),
    network: ifAny(textsOf(args, 'network')),
    newHostKeys: isSet(args, 'new-host-keys'),
    whenRunning: whenRunning(args, 'clone'),
    control: sourceControl,
    onWait: (waited: string) => sayWait(waited)(),
  };
  return untilSignal(
    (signal) => cloneService(roots, [source, name], { ...options, signal }),
    async (cloned) => {
      tell(cloned);
      if (isSet(args, 'json')) await printJson(json(cloned));
      return cloned.startFailure === undefined ? 0 : FAILED;
    },
  );
}

/** What is not given is the source's. */
function ifAny(texts: readonly string[]): readonly string[] | undefined {
  return texts.length > 0 ? texts : undefined;
}

/** What users cannot know beforehand. */
function tell({ source, service, notes, startFailure }: Cloned): void {
  const ports = service.config.publish.flatMap((own, index) => {
    const old = source.config.publish[index];
    if (old === undefined || old.hostPort === own.hostPort || old.guestPort !== own.guestPort) return [];
    return [`port ${old.hostPort} of ${source.name} is ${own.hostPort} of ${service.name}`];
  });
  const failures = startFailure === undefined ? [] : [startFailure];
  for (const sentence of [...ports, ...notes, ...failures]) say(sentence);
}

function json({ source, service, changed, standstill }: Cloned): object {
  return {
    ...serviceJson(service),
    publish: service.config.publish.map(publishText),
    source: source.name,
    changed,
    ...(standstill === undefined ? {} : { standstillMs: Math.round(standstill) }),
  };
}
