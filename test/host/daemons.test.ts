/** Tests and benchmarks run beside libvirt's daemons that are already there: they use them or leave them alone. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { REPOSITORY } from '../helpers/run.js';
import { unlessRoot } from '../helpers/scratch.js';

/** Namespaces in which the machine's daemons do not exist, and which take every process with them at their end. */
const NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];

const FUNCTIONS = `
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib/libvirt
mkdir /run/libvirt /run/lock
ip link set lo up

answers() { virsh -q -c qemu:///system list >/dev/null 2>&1; }
wait_for() { for _ in $(seq 600); do if "$@"; then return; fi; sleep 0.05; done; echo "never: $*" >&2; exit 1; }
start_virtlogd() { virtlogd -d; wait_for test -S /run/libvirt/virtlogd-sock; }
start_libvirtd() { libvirtd -d; wait_for answers; }
daemons() { ps -C virtlogd,libvirtd,tini -o pid=,args=; }
none() { [ -z "$(daemons)" ]; }
kill_both() { kill -KILL $(cat /run/virtlogd.pid) $(cat /run/libvirtd.pid); wait_for none; }
with_libvirt() { exec node scripts/with-libvirt.mjs "$@"; }
`;

/** What a command does that needs libvirt: it asks both drivers, and prints which socket it has found for machines. */
const COMMAND = `sh -euc '
  virsh -q -c qemu:///system list >&2
  $VIRT_SANDBOX_BENCH_LXC virsh -q -c lxc:/// list >&2
  node -e "require(\\"node:net\\").connect(\\"/run/libvirt/virtlogd-sock\\", () => process.exit())"
  stat -c %d-%i /run/libvirt/libvirt-sock
'`;

async function inNamespaces(script: string): Promise<string> {
  const args = [...NAMESPACES, 'bash', '-euc', FUNCTIONS + script];
  const env = { ...process.env };
  // Set where these tests themselves run beside daemons of their own.
  delete env['VIRT_SANDBOX_TEST_HIDDEN'];
  const { stdout } = await promisify(execFile)('unshare', args, { cwd: REPOSITORY, env, timeout: 120_000 });
  return stdout.trim();
}

const unlessDaemons =
  unlessRoot('makes namespaces') ||
  (existsSync('/usr/sbin/libvirtd') && existsSync('/usr/sbin/virtlogd') ? false : 'libvirtd or virtlogd is missing');

describe('what needs libvirt', { skip: unlessDaemons, concurrency: 2 }, () => {
  for (const [name, before] of [
    ['no daemon', ''],
    ['a virtlogd alone', 'start_virtlogd'],
    ['a libvirtd without virtlogd', 'start_libvirtd'],
    ['the sockets and pid files of killed daemons', 'start_virtlogd; start_libvirtd; kill_both'],
    ['a virtlogd whose socket is gone', 'start_virtlogd; rm /run/libvirt/virtlogd-sock'],
    ['a libvirtd whose socket is gone', 'start_virtlogd; start_libvirtd; rm /run/libvirt/libvirt-sock'],
    ['a libvirtd that does not answer', 'start_virtlogd; start_libvirtd; kill -STOP $(cat /run/libvirtd.pid)'],
  ] as const) {
    it(`gets daemons of its own beside ${name}`, async () => {
      const script = `
        ${before}
        before=$(daemons || true)
        theirs=$(stat -c %d-%i /run/libvirt/libvirt-sock 2>/dev/null || true)
        ours=$(with_libvirt ${COMMAND})
        [ "$ours" != "$theirs" ]
        [ "$(daemons || true)" = "$before" ]
        echo done`;
      assert.equal(await inNamespaces(script), 'done');
    });
  }

  it('uses a libvirtd that answers with virtlogd beside it, and leaves both running', async () => {
    const script = `
      start_virtlogd
      start_libvirtd
      before=$(daemons)
      theirs=$(stat -c %d-%i /run/libvirt/libvirt-sock)
      [ "$(with_libvirt ${COMMAND})" = "$theirs" ]
      [ "$(daemons)" = "$before" ]
      echo done`;
    assert.equal(await inNamespaces(script), 'done');
  });

  it('keeps its daemons when another run that began sooner ends', async () => {
    const script = `
      with_libvirt sh -euc 'touch /run/first; until [ -e /run/second ]; do sleep 0.05; done' &
      first=$!
      wait_for test -e /run/first
      with_libvirt sh -euc '
        touch /run/second
        until [ -e /run/first-ended ]; do sleep 0.05; done
        virsh -q -c qemu:///system list' >&2 &
      second=$!
      wait "$first"
      touch /run/first-ended
      wait "$second"
      echo done`;
    assert.equal(await inNamespaces(script), 'done');
  });

  it('leaves no daemon behind when it is killed', async () => {
    const script = `
      with_libvirt sh -euc 'touch /run/ready; exec sleep 600' &
      wait_for test -e /run/ready
      kill -KILL $!
      wait_for none
      echo done`;
    assert.equal(await inNamespaces(script), 'done');
  });
});
