/** virt-sandbox-service show: what a service is. */
import { publishText } from '../../config/parsers/publish.js';
import { rootText } from '../../config/root.js';
import { loadService, readServiceFile } from '../../service/file.js';
import { servicePaths, serviceRoots } from '../../service/paths.js';
import type { Service } from '../../service/types.js';
import { printJson } from '../output.js';
import { print } from '../terminal/output.js';
import { isSet, type ServiceArguments } from './arguments.js';
import { nameOf } from './each-service.js';

export async function show(args: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  const name = await nameOf(args);
  if (isSet(args, 'json')) await printJson(serviceJson(await loadService(roots, name)));
  else await print(await readServiceFile(servicePaths(roots, name).file, name));
  return 0;
}

/** All that is kept of a service. The names are keys of JSON. */
export function serviceJson({ name, paths, config, settings }: Service): object {
  const { service, overlay, identity, security } = config;
  return {
    name,
    kind: service?.type ?? 'generic',
    ...(service?.type === 'systemd' ? { units: service.units } : { command: config.command }),
    file: paths.file,
    ...(settings.connect === undefined ? {} : { connect: settings.connect }),
    root: rootText(config.root),
    ...(overlay === undefined || overlay.type === 'memory'
      ? {}
      : { state: { type: overlay.type, path: overlay.path } }),
    user: { uid: identity.uid, gid: identity.gid, name: identity.username, home: identity.home },
    privileged: config.privileged === true,
    memory: config.memory,
    vcpus: config.vcpus,
    publish: config.publish.map(publishText),
    restart: settings.restart,
    autostart: settings.autostart,
    ...(settings.health === undefined ? {} : { health: settings.health }),
    ...(security.label === undefined ? {} : { security: `${security.mode},label=${security.label}` }),
    ...(settings.filetype === undefined ? {} : { filetype: settings.filetype }),
    packages: settings.packages,
    copied: settings.copied,
  };
}
