/** virt-sandbox-bake pull: gets an image from a registry. */
import { pullBootImage } from '../../fleet/artifact/pull.js';
import { defaultStoreDirectory } from '../../image/store/store.js';
import { referenceText } from '../../oci-names/reference.js';
import { oneLine } from '../../util/errors.js';
import { printJson, printLines, size } from '../output.js';
import { progressLine } from '../terminal/progress-line.js';
import { untilSignal } from '../until-signal.js';
import { type BakeArguments, referenceOf, registryOf, textOf } from './arguments.js';

export async function pull(args: BakeArguments): Promise<number> {
  const reference = referenceOf(args);
  const name = textOf(args, 'name');
  const options = {
    store: defaultStoreDirectory(),
    name,
    withSnapshots: args['cold'] !== true,
    registry: registryOf(args),
  };
  const progress = progressLine('virt-sandbox-bake');
  return untilSignal(
    (signal) =>
      pullBootImage(reference, { ...options, signal, onProgress: progress.show }).finally(() => progress.clear()),
    async ({ manifest, ...pulled }) => {
      const called = referenceText(reference);
      const named = name === undefined ? {} : { name };
      if (args['json'] === true)
        await printJson({
          reference: called,
          ...named,
          ...pulled,
          kernelVersion: manifest.kernel.version,
          sets: manifest.sets,
        });
      else
        await printLines([
          `reference: ${called}`,
          `digest: ${pulled.digest}`,
          `image: ${pulled.directory}`,
          `id: ${pulled.id}`,
          ...(name === undefined ? [] : [`name: ${name}`]),
          `kernelVersion: ${manifest.kernel.version}`,
          `sets: ${manifest.sets.join(', ')}`,
          `received: ${size(pulled.received)}`,
          `new: ${pulled.fresh ? 'yes' : 'no'}`,
          ...pulled.snapshots.map((one) => `warm: ${one.directory}${one.fresh ? '' : ', which was there'}`),
          ...pulled.left.map(({ path, reason }) => oneLine(`left: ${path}, because ${reason}`)),
        ]);
      return 0;
    },
  );
}
