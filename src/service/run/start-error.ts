/** What a start fails by, where the service knows more than its sandbox. */
import { quote } from '../../config/errors.js';
import { rootText } from '../../config/root.js';
import type { SandboxConfig } from '../../config/types.js';
import { messageOf, SandboxError } from '../../util/errors.js';
import { serviceError } from '../errors.js';
import { isReadOnly } from '../store/bound.js';
import type { Service } from '../types.js';

/** What counts of a service. */
interface Started extends Pick<Service, 'name'> {
  readonly config: Pick<SandboxConfig, 'root' | 'overlay'>;
}

/** While the state is in use. @returns `service-of-other-image`, `service-state-read-only`, or the error itself */
export async function startError(service: Started, error: unknown): Promise<unknown> {
  return otherImage(service, error) ?? (await readOnly(service, error)) ?? error;
}

/** Its state belongs to another image than its root: an upgrade takes it there. */
function otherImage({ name, config }: Started, error: unknown): SandboxError | undefined {
  const isOther = error instanceof SandboxError && error.code === 'overlay-of-other-root';
  if (!isOther || config.root.type !== 'image') return undefined;
  return serviceError(
    'service-of-other-image',
    `the state of the service ${quote(name)} belongs to another image than ${quote(rootText(config.root))}: ${error.message}`,
    `virt-sandbox-service upgrade ${name} takes it to that image`,
    error,
  );
}

/** What failed inside cannot know why nothing can be written. */
async function readOnly({ name, config }: Started, error: unknown): Promise<SandboxError | undefined> {
  if (!(await isReadOnly(config.overlay))) return undefined;
  return serviceError(
    'service-state-read-only',
    `the state of the service ${quote(name)} has become read-only, since its disk has no room, or failed: ${messageOf(error)}`,
    'make room, and start it again; if there is room, see dmesg',
    error,
  );
}
