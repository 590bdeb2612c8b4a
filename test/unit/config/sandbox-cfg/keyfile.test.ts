/** GLib's key file format: reading, writing, and escapes. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import koffi from 'koffi';
import { KeyFile } from '../../../../src/config/sandbox-cfg/keyfile.js';
import { Random, refuses } from '../support.js';

const written = (value: string): string => {
  const file = new KeyFile('test');
  file.set('g', 'k', value);
  return file.toString();
};

const ESCAPED: [string, string][] = [
  ['', ''],
  ['plain', 'plain'],
  [' a b ', '\\sa b '],
  ['\ta\tb', '\\ta\tb'],
  ['  ', '\\s\\s'],
  ['a\nb\rc\\d', 'a\\nb\\rc\\\\d'],
  ['\n a', '\\n\\sa'],
  ['\\ a', '\\\\ a'],
  ['#;=[]', '#;=[]'],
  ['äöü😀', 'äöü😀'],
];

test('values are escaped where reading needs it', async (t) => {
  for (const [value, raw] of ESCAPED) {
    await t.test(JSON.stringify(value), () => {
      assert.equal(written(value), `[g]\nk=${raw}\n`);
      assert.equal(KeyFile.parse(`[g]\nk=${raw}\n`, 'test').get('g', 'k'), value);
    });
  }
});

test('groups and keys keep their order', () => {
  const file = new KeyFile('test');
  file.set('two', 'z', 1);
  file.set('one', 'y', true);
  file.set('two', 'a', 'text');
  file.set('two', 'z', 2);
  assert.equal(file.toString(), '[two]\nz=2\na=text\n\n[one]\ny=true\n');
  assert.deepEqual(file.groups, ['two', 'one']);
  assert.deepEqual(file.keys('two'), ['z', 'a']);
  assert.deepEqual(file.keys('three'), []);
  assert.equal(file.get('three', 'a'), undefined);
  assert.equal(new KeyFile('test').toString(), '');
});

test('reading is as tolerant as GLib', () => {
  const file = KeyFile.parse(
    '\n# comment\r\n  [g] \r\n  k  =  v  \r\n\t\n #x=1\nk2=\n[h]\n[g]\nk3=a=b\nk2=again',
    'test',
  );
  assert.deepEqual(file.groups, ['g', 'h']);
  assert.deepEqual(file.keys('g'), ['k', 'k2', 'k3']);
  assert.equal(file.get('g', 'k'), 'v  ');
  assert.equal(file.get('g', 'k2'), 'again');
  assert.equal(file.get('g', 'k3'), 'a=b');
  assert.equal(file.has('h'), true);
});

test('invalid key files', async (t) => {
  const table: [string, number, string][] = [
    ['k=v\n', 1, 'k=v'],
    ['[g]\n\nnothing\n', 3, 'nothing'],
    ['[g]\n=v\n', 2, '=v'],
    ['[g\nk=v\n', 1, '[g'],
    ['[]\n', 1, '[]'],
    ['[g]x\n', 1, '[g]x'],
    ['[a[b]]\n', 1, '[a[b]]'],
    ['[g\u0001]\n', 1, '[g\\u0001]'],
    ['[g]\n;x\n', 2, ';x'],
  ];
  for (const [text, line, name] of table) {
    await t.test(JSON.stringify(text), () =>
      refuses(() => KeyFile.parse(text, 'a.cfg'), 'config', 'key-file-invalid', 'a.cfg', `line ${line}`, name),
    );
  }
});

test('an unknown escape is an error of its value', async () => {
  for (const raw of ['a\\x', 'a\\', '\\;', 'a\\\\\\']) {
    const file = KeyFile.parse(`[g]\nbad=${raw}\ngood=1\n`, 'a.cfg');
    assert.equal(file.get('g', 'good'), '1');
    await refuses(
      () => file.get('g', 'bad'),
      'config',
      'key-file-value-invalid',
      'a.cfg',
      'bad',
      '[g]',
      JSON.stringify(raw),
    );
  }
});

test('any text survives a round trip', () => {
  const random = new Random(1);
  const values = Array.from({ length: 2000 }, () => random.text(9));
  const file = new KeyFile('test');
  for (const [index, value] of values.entries()) file.set('g', `k${index}`, value);
  const back = KeyFile.parse(file.toString(), 'test');
  for (const [index, value] of values.entries()) assert.equal(back.get('g', `k${index}`), value);
  assert.equal(back.toString(), file.toString());
});

/** GLib's own key file functions, where GLib is installed. */
function glib() {
  try {
    const library = koffi.load('libglib-2.0.so.0');
    return {
      create: library.func('void *g_key_file_new()'),
      set: library.func('void g_key_file_set_string(void *file, str group, str key, str value)'),
      write: library.func('str g_key_file_to_data(void *file, void *length, void *error)'),
      read: library.func('int g_key_file_load_from_data(void *file, str data, size_t length, int flags, void *error)'),
      get: library.func('str g_key_file_get_string(void *file, str group, str key, void *error)'),
      free: library.func('void g_key_file_free(void *file)'),
    };
  } catch {
    return undefined;
  }
}

test('GLib writes the same bytes and reads the same values', (t) => {
  const real = glib();
  if (real === undefined) return t.skip('libglib-2.0 is not installed');
  const random = new Random(2);
  const values = [...ESCAPED.map(([value]) => value), ...Array.from({ length: 1000 }, () => random.text(9))];
  const ours = new KeyFile('test');
  const writer = real.create();
  const reader = real.create();
  for (const [index, value] of values.entries()) {
    ours.set(`g${index % 3}`, `k${index}`, value);
    real.set(writer, `g${index % 3}`, `k${index}`, value);
  }
  const text = ours.toString();
  assert.equal(text, real.write(writer, null, null));
  assert.equal(real.read(reader, text, Buffer.byteLength(text), 0, null), 1);
  for (const [index, value] of values.entries()) {
    assert.equal(real.get(reader, `g${index % 3}`, `k${index}`, null), value);
  }
  real.free(writer);
  real.free(reader);
});
