/** virt-sandbox-service create: makes a service. */

import { kindOf } from '../../libvirt/connect.js';
import { ignoredByContainers } from '../../sandbox/prepare/ignored.js';
import { sharedPorts } from '../../service/clone/ports.js';
import type { CopyProgress } from '../../service/content/copy.js';
import { createService } from '../../service/create/create.js';
import { type CreateTexts, describeService } from '../../service/create/describe.js';
import { serviceRoots } from '../../service/paths.js';
import type { Service } from '../../service/types.js';
import { oneLine } from '../../util/errors.js';
import { printJson, printLines, size } from '../output.js';
import { imageProgress } from '../terminal/image-progress.js';
import { progressLine } from '../terminal/progress-line.js';
import { untilSignal } from '../until-signal.js';
import { isSet, PROGRAM, type ServiceArguments, textOf, textsOf } from './arguments.js';
import { say } from './say.js';
import { serviceJson } from './show.js';
import { hasSystemd } from './systemctl.js';
import { sayWait } from './waiting.js';

export async function create(args: ServiceArguments): Promise<number> {
  const roots = serviceRoots();
  const [name = '', ...command] = args.words;
  const texts = createTexts(args, command);
  const pull = imageProgress(process.stderr, { program: PROGRAM });
  const progress = progressLine(PROGRAM);
  const onProgress = ({ files, bytes }: CopyProgress) => progress.show(`copying: ${files} files, ${size(bytes)}`);
  return untilSignal(
    async (signal) => {
      const describing = describeService(roots, name, texts, { signal, onPull: (part) => pull.show(part) });
      const wanted = await describing.finally(() => pull.clear());
      const creating = createService(roots, name, wanted, {
        signal,
        onWait: sayWait(name),
        onProgress,
        hasUnit: hasSystemd(),
      });
      return creating.finally(() => progress.clear());
    },
    async (service) => {
      for (const path of service.unsettled) say(`${path} was written to while it was copied`);
      for (const sentence of await sharedPorts(roots, service)) say(sentence);
      const ignored = isContainer(service) ? ignoredByContainers(service.config) : undefined;
      if (ignored !== undefined) say(ignored);
      if (isSet(args, 'json')) await printJson(serviceJson(service));
      else await printLines(service.settings.copied.map(oneLine));
      return 0;
    },
  );
}

function isContainer({ settings: { connect } }: Service): boolean {
  return connect !== undefined && kindOf(connect) === 'lxc';
}

function createTexts(args: ServiceArguments, command: readonly string[]): CreateTexts {
  const text = (name: string) => textOf(args, name);
  return {
    sandbox: {
      root: text('root'),
      pull: text('pull'),
      platform: text('platform'),
      authfile: text('authfile'),
      tlsVerify: text('tls-verify'),
      mount: textsOf(args, 'mount'),
      network: textsOf(args, 'network'),
      publish: textsOf(args, 'publish'),
      env: textsOf(args, 'env'),
      hide: textsOf(args, 'hide'),
      security: text('security'),
      privileged: isSet(args, 'privileged') || undefined,
      memory: text('memory'),
      vcpus: text('vcpus'),
      accel: text('accel'),
      boot: text('boot'),
      bootTimeout: text('boot-timeout'),
      cpuShares: text('cpu-shares'),
      cpuQuota: text('cpu-quota'),
      memoryLimit: text('memory-limit'),
    },
    command,
    units: textsOf(args, 'unitfile'),
    connect: text('connect'),
    copy: isSet(args, 'copy'),
    packages: textsOf(args, 'package'),
    copyPaths: textsOf(args, 'copy-path'),
    path: text('path'),
    imageSize: text('imagesize'),
    restart: text('restart'),
    autostart: isSet(args, 'autostart'),
    health: text('health'),
    filetype: text('filetype'),
    uid: text('uid'),
    gid: text('gid'),
    username: text('username'),
    homedir: text('homedir'),
  };
}
