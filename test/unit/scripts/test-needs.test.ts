/** scripts/test-needs.mjs knows what every test file needs, and the names in ONLY select what they say. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { REPOSITORY } from '../../helpers/run.js';

interface Needs {
  readonly programs: readonly string[];
  readonly libvirt: boolean;
  readonly order: number;
  readonly thorough: boolean;
}

const { needsOf, isQuick, selected } = (await import(
  pathToFileURL(join(REPOSITORY, 'scripts/test-needs.mjs')).href
)) as {
  needsOf: (name: string) => Needs;
  isQuick: (name: string) => boolean;
  selected: (names: readonly string[], only: readonly string[], isThorough?: boolean) => string[];
};

const TESTS = join(REPOSITORY, 'test');
const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));

/** The sources of a test file: itself and what it imports from test/. */
function sources(file: string, found = new Map<string, string>()): Map<string, string> {
  if (found.has(file)) return found;
  const source = readFileSync(file, 'utf8');
  found.set(file, source);
  for (const [, path = ''] of source.matchAll(/ from '(\.[^']*)\.js'/g)) {
    const imported = join(dirname(file), `${path}.ts`);
    if (imported.startsWith(TESTS)) sources(imported, found);
  }
  return found;
}

describe('what tests need', () => {
  it('is known of every file', () => {
    for (const name of files) {
      const texts = sources(join(TESTS, name));
      const known = needsOf(name).programs;
      for (const [, program = ''] of [...texts.values()].join('\n').matchAll(/build\/native\/([a-z-]+)/g)) {
        assert.ok(known.includes(program), `${name} runs ${program}`);
      }
      const daemons = [...texts.keys()].filter((file) => /helpers\/(connections|private-libvirt)\.ts$/.test(file));
      assert.ok(!isQuick(name) || daemons.length === 0, `make unit runs ${name}, so it may not talk to libvirt`);
    }
  });

  it('is nothing for most of test/unit', () => {
    const no = { libvirt: false, snapshots: false, user: false, guestInit: false, thorough: false };
    const nothing = { ...no, programs: [], order: 0 };
    assert.deepEqual(needsOf('unit/config/mount.test.js'), nothing);
    const machines = { ...nothing, libvirt: true, snapshots: true, order: 2 };
    assert.deepEqual(needsOf('guest/config-file.test.js'), machines);
    assert.deepEqual(needsOf('guest/apparmor.test.js'), { ...machines, order: 3 });
    assert.deepEqual(needsOf('guest/selinux.test.js'), { ...machines, order: 3, thorough: true });
    assert.deepEqual(needsOf('guest/warm-slots.test.js'), { ...machines, user: true, guestInit: true });
    assert.deepEqual(needsOf('unit/init/native/end.test.js').programs, ['init-asan', 'init-fuzz']);
  });
});

describe('a thorough test', () => {
  const names = ['guest/outcome.test.js', 'guest/service-host-shutdown.test.js'];

  it('is run where all tests are wanted, and by its name', () => {
    assert.deepEqual(selected(names, []), names.slice(0, 1));
    assert.deepEqual(selected(names, [], true), names);
    assert.deepEqual(selected(names, ['host-shutdown']), names.slice(1));
    assert.deepEqual(selected(names, ['guest']), names);
  });

  it('is one that there is', () => {
    const inGuest = ['bench-nested', 'selinux', 'service-daemon-killed', 'service-host-shutdown', 'service-units'];
    for (const name of [...inGuest.map((one) => `guest/${one}`), 'host/service-other-image-killed'])
      assert.ok(files.includes(`${name}.test.ts`) && needsOf(name).thorough, name);
  });
});

describe('ONLY', () => {
  const names = [
    'unit/config/mount.test.js',
    'unit/cli/hang-up.test.js',
    'guest/config-file.test.js',
    'guest/warm.test.js',
  ];
  for (const [only, expected] of [
    [[], names],
    [['config'], names.slice(0, 1)],
    [['config-'], names.slice(2, 3)],
    [['guest/'], names.slice(2)],
    [
      ['guest/warm', 'cli'],
      [names[1], names[3]],
    ],
    [['nothing'], []],
  ] as const) {
    it(`selects ${expected.length} files for "${only.join(' ')}"`, () => {
      assert.deepEqual(selected(names, only), expected);
    });
  }
});
