/** The steps of an image and their layers, where they fit each other and where not. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ImageConfig } from '../../../../src/oci/image-config.js';
import { historyOf } from '../../../../src/oci/inspect/history.js';
import type { Manifest } from '../../../../src/oci/manifest.js';

const step = (createdBy: string, isEmpty = false) => ({ created: '2026-01-01T00:00:00Z', createdBy, isEmpty });

for (const [what, history, layers, steps] of [
  ['fit', [step('FROM'), step('ENV', true), step('RUN')], ['1', '2'], ['FROM 1', 'ENV -', 'RUN 2']],
  ['are not told', [], ['1', '2'], ['- 1', '- 2']],
  ['are too few', [step('FROM')], ['1', '2'], ['FROM 1', '- 2']],
  ['are too many', [step('FROM'), step('RUN')], ['1'], ['FROM 1', 'RUN -']],
] as const)
  it(`steps that ${what}`, () => {
    const manifest = { layers: layers.map((mediaType) => ({ mediaType })) } as unknown as Manifest;
    const found = historyOf(manifest, { history } as unknown as ImageConfig);
    assert.deepEqual(
      found.map(({ createdBy = '-', layer }) => `${createdBy} ${layer?.mediaType ?? '-'}`),
      steps,
    );
  });
