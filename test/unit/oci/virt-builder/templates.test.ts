/** virt-builder's list of templates, which its sources have written. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTemplateList } from '../../../../src/oci/virt-builder/templates.js';
import { parseRootImage } from '../../../../src/oci-names/root-image.js';
import { templateText } from '../../../../src/oci-names/template.js';
import { throwsWith } from '../../../helpers/errors.js';

/** As virt-builder 1.52.3 prints it. */
function listed(templates: readonly object[], version: unknown = 1): string {
  return JSON.stringify({ version, sources: [{ uri: 'file:///index' }], templates });
}

function one(name: string, arch = 'x86_64', more = {}): object {
  const sizes = { size: 67108864, 'compressed-size': '1008568' };
  return { 'os-version': name, 'full-name': name, arch, ...sizes, notes: { C: 'x' }, hidden: false, ...more };
}

describe('the list of templates', () => {
  it('names those for this host, and those for others with their architecture', () => {
    const text = listed([one('debian-12'), one('debian-12', 'aarch64'), one('cirros-0.3.5'), one('old', 'i686')]);
    const found = parseTemplateList(text, 'amd64').map(templateText);
    assert.deepEqual(found, [
      'virt-builder:///debian-12',
      'virt-builder:///debian-12?arch=aarch64',
      'virt-builder:///cirros-0.3.5',
      'virt-builder:///old?arch=i686',
    ]);
    for (const name of found) parseRootImage(name);
    assert.equal(parseTemplateList(text, 'arm64').map(templateText)[1], 'virt-builder:///debian-12');
  });

  it('has no hidden ones, and no name that is none', () => {
    const odd = ['--output=/x', '-x', 'a b', 'a/b', '', '\u001b[2J', 'a\nb', 'x'.repeat(200)].map((name) => one(name));
    const arch = ['', '--x', 'a\nb', '../x', 'X'.repeat(99)].map((name) => one('a', name));
    const text = listed([one('h', 'x86_64', { hidden: true }), ...odd, ...arch, one('good')]);
    assert.deepEqual(parseTemplateList(text, 'amd64'), [{ template: 'good', architecture: undefined }]);
  });

  for (const text of [
    '',
    'null',
    '[]',
    '{',
    listed([], 2),
    listed([{ 'os-version': 7, arch: 'x86_64' }]),
    listed([{ arch: 'x86_64' }]),
    '{"version":1,"templates":{}}',
    '[0.0] Downloading: x',
  ])
    it(`is refused if it is something else: ${text.slice(0, 40)}`, () => {
      throwsWith(() => parseTemplateList(text), 'template-list-invalid');
    });
});
