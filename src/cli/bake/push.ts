/** virt-sandbox-bake push: puts an image into a registry. */
import { hostPath } from '../../config/path.js';
import { pushImage } from '../../fleet/artifact/push.js';
import { defaultStoreDirectory } from '../../image/store/store.js';
import { referenceText } from '../../oci-names/reference.js';
import { printJson, printLines, size } from '../output.js';
import { progressLine } from '../terminal/progress-line.js';
import { untilSignal } from '../until-signal.js';
import { type BakeArguments, referenceOf, registryOf, textOf, usageError } from './arguments.js';

export async function push(args: BakeArguments): Promise<number> {
  const key = textOf(args, 'sign-key');
  const sign = args['sign'] === true;
  if (key !== undefined && !sign) throw usageError('--sign-key goes with --sign');
  const reference = referenceOf(args);
  const called = textOf(args, 'image') ?? '';
  const options = {
    store: defaultStoreDirectory(),
    withSnapshots: args['cold'] !== true,
    registry: registryOf(args),
    signing: sign ? { key: key === undefined ? undefined : keyOf(key) } : undefined,
  };
  const progress = progressLine('virt-sandbox-bake');
  return untilSignal(
    (signal) =>
      pushImage(called, reference, { ...options, signal, onProgress: progress.show, onSigning: progress.hide }).finally(
        progress.clear,
      ),
    async (pushed) => {
      const result = { reference: referenceText(reference), ...pushed };
      if (args['json'] === true) await printJson(result);
      else
        await printLines([
          `reference: ${result.reference}`,
          `digest: ${pushed.digest}`,
          `id: ${pushed.id}`,
          `size: ${size(pushed.size)}`,
          `sent: ${size(pushed.sent)}`,
          ...pushed.snapshots.map((directory) => `warm: ${directory}`),
          `signed: ${pushed.signed ? 'yes' : 'no'}`,
        ]);
      return 0;
    },
  );
}

/** A file by an absolute path; a key of another kind, as awskms://…, as it is. */
function keyOf(key: string): string {
  return key.includes('://') ? key : hostPath(key, '--sign-key');
}
