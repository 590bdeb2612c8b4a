/** The order of a hash table, compared with this machine's GLib, which libvirt needs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import koffi from 'koffi';
import { hashOrder, tableOrder } from '../../../src/config/hash-order.js';
import { Random } from './support.js';

const glib = koffi.load('libglib-2.0.so.0');
const Iterator = koffi.struct({ fields: koffi.array('void *', 8) });

const newTable = glib.func('void *g_hash_table_new(void *hash, void *equal)');
const insert = glib.func('int g_hash_table_insert(void *table, void *key, void *value)');
const begin = glib.func('g_hash_table_iter_init', 'void', [koffi.out(koffi.pointer(Iterator)), 'void *']);
const next = glib.func('g_hash_table_iter_next', 'int', [
  koffi.inout(koffi.pointer(Iterator)),
  koffi.out(koffi.pointer('str')),
  koffi.out(koffi.pointer('str')),
]);
const unref = glib.func('void g_hash_table_unref(void *table)');
const duplicate = glib.func('void *g_strdup(str text)');

/** The order of a real table. The copied strings are never freed; the test is short. */
function listed(pairs: readonly (readonly [string, string])[]): (readonly [string, string])[] {
  const table = newTable(glib.symbol('g_str_hash', 'void'), glib.symbol('g_str_equal', 'void'));
  for (const [key, value] of pairs) insert(table, duplicate(key), duplicate(value));
  const found: (readonly [string, string])[] = [];
  const at = {};
  begin(at, table);
  for (const key: [unknown] = [null], value: [unknown] = [null]; next(at, key, value) !== 0; ) {
    found.push([String(key[0]), String(value[0])]);
  }
  unref(table);
  return found;
}

test("tables of every size list their keys in GLib's order", () => {
  const random = new Random(20261125);
  for (let round = 0; round < 600; round += 1) {
    const keys = [...new Set(random.list(round < 500 ? 12 : 300, () => `/${random.text(9)}`))];
    assert.deepEqual(
      hashOrder(keys),
      listed(keys.map((key) => [key, ''])).map(([key]) => key),
      `round ${round}`,
    );
  }
});

test("as many keys as a command line has room for are in GLib's order", () => {
  const keys = Array.from({ length: 100_000 }, (_, index) => `K${index}`);
  assert.deepEqual(
    hashOrder(keys),
    listed(keys.map((key) => [key, ''])).map(([key]) => key),
  );
});

test('the last of two equal keys wins, in the position of the first', () => {
  const random = new Random(4);
  for (let round = 0; round < 200; round += 1) {
    const pairs = random.list(12, (index) => [`K${random.below(6)}`, `${index}`] as const);
    assert.deepEqual(
      tableOrder(pairs, ([key]) => key),
      listed(pairs),
    );
  }
});
