/** virt-sandbox-image login and logout, at a terminal and without one. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { testImage } from '../../../helpers/oci/image.js';
import { imageProgram } from '../../../helpers/oci/image-program.js';
import { imageIn, startRegistry, type TestRegistry } from '../../../helpers/oci/registry.js';
import { tarOf } from '../../../helpers/oci/tar.js';

const image = testImage([tarOf({ name: 'a', data: 'x' })]);

describe('virt-sandbox-image login', () => {
  const answer = (registry: TestRegistry) =>
    registry.hook(({ headers }, response) => {
      if (headers.authorization === `Basic ${Buffer.from('me:secret').toString('base64')}`) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      return true;
    });

  it('takes a password of standard input, and logout forgets it', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    registry.add(image, 'v1');
    answer(registry);
    const words = ['login', '-u', 'me', '--password-stdin', registry.host];
    await program.fails(words, /me|denied|refuse/, { input: 'wrong\n' });
    const { code, out } = await program.run(words, { input: 'secret\n' });
    const file = join(program.directory, 'containers', 'auth.json');
    assert.deepEqual([code, out], [0, `${registry.host}: logged in as me; ${file} has the password, not encrypted\n`]);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await program.out('pull', imageIn(registry, 'v1'));
    assert.equal(await program.out('logout', registry.host), `${registry.host}: logged out\n`);
    assert.equal(await program.out('logout', registry.host), `${registry.host}: nobody was logged in\n`);
    assert.doesNotMatch(readFileSync(file, 'utf8'), /auth":/);
  });

  it('says when nobody has looked at the password, and which file has another', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    const words = ['login', '-u', 'me', '--password-stdin', registry.host];
    const { code, out } = await program.run(words, { input: 'wrong\n' });
    const file = join(program.directory, 'containers', 'auth.json');
    const said = `asked for no password, so it is not known to be right; ${file} has the password, not encrypted`;
    assert.deepEqual([code, out], [0, `${registry.host}: ${said}\n`]);
    const other = join(program.directory, '.docker', 'config.json');
    mkdirSync(join(program.directory, '.docker'));
    writeFileSync(other, readFileSync(file));
    const still = `${other} still has a password, which is used`;
    assert.equal(await program.out('logout', registry.host), `${registry.host}: logged out; ${still}\n`);
    assert.equal(await program.out('logout', registry.host), `${registry.host}: nobody was logged in; ${still}\n`);
  });

  it('warns of what pulls use before it, and goes where registries.conf says', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    answer(registry);
    const file = join(program.directory, 'containers', 'auth.json');
    mkdirSync(join(program.directory, 'containers'));
    writeFileSync(file, JSON.stringify({ auths: { [`${registry.host}/team`]: { auth: 'bWU6eA==' } } }));
    mkdirSync(join(program.directory, '.config', 'containers'), { recursive: true });
    writeFileSync(
      join(program.directory, '.config', 'containers', 'registries.conf'),
      `[[registry]]\nprefix = "moved.example"\nlocation = "${registry.host}"\n`,
    );
    const words = ['login', '-u', 'me', '--password-stdin', 'moved.example'];
    const { code, out, stderr } = await program.run(words, { input: 'secret\n' });
    const name = `moved.example, which is ${registry.host} by registries.conf`;
    assert.deepEqual([code, out], [0, `${name}: logged in as me; ${file} has the password, not encrypted\n`]);
    const used = `auths["${registry.host}/team"] in ${file}`;
    assert.equal(stderr, `virt-sandbox-image: warning: pulls use ${used} before this password\n`);
  });

  it('asks for no password that could not be kept', async (context) => {
    const program = imageProgram(context);
    const terminal = program.atTerminal(['login', '--authfile=/dev/null/auth.json', 'localhost:1']);
    await terminal.until(/auth file \/dev\/null\/auth\.json cannot be read \(ENOTDIR\); mend it, or name another/);
    assert.deepEqual(await terminal.exited(), { code: 125, signal: null });
    assert.doesNotMatch(terminal.text, /User name/);
  });

  it('asks at a terminal, and does not show the password', async (context) => {
    const [program, registry] = [imageProgram(context), await startRegistry(context)];
    answer(registry);
    const terminal = program.atTerminal(['login', registry.host]);
    await terminal.until(/User name at [\d.:]+: /);
    terminal.type('me\n');
    await terminal.until(/Password of me at [\d.:]+: /);
    terminal.type('wrong\u0015secret\n');
    await terminal.until(/logged in as me; /);
    assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
    assert.doesNotMatch(terminal.text, /secret|wrong/);
    assert.equal(terminal.settings(), terminal.before);
  });

  it('takes both when they are pasted at once, and shows no password', async (context) => {
    for (const pasted of ['me\nsecret\n', 'me\rsecret\rmore']) {
      const [program, registry] = [imageProgram(context), await startRegistry(context)];
      answer(registry);
      const terminal = program.atTerminal(['login', registry.host]);
      await terminal.until(/User name at [\d.:]+: /);
      terminal.type(pasted);
      await terminal.until(/logged in as me; /);
      assert.deepEqual(await terminal.exited(), { code: 0, signal: null });
      assert.match(terminal.text, /User name at [\d.:]+: .*me/);
      assert.doesNotMatch(terminal.text, /secret|more/);
      assert.equal(terminal.settings(), terminal.before);
    }
  });

  it('asks no further after Ctrl+D', async (context) => {
    const program = imageProgram(context);
    const terminal = program.atTerminal(['login', 'localhost:1']);
    await terminal.until(/User name at localhost:1: /);
    terminal.type('\u0004');
    await terminal.until(/nothing was entered; type an answer/);
    assert.deepEqual(await terminal.exited(), { code: 125, signal: null });
    assert.doesNotMatch(terminal.text, /Password/);
    assert.equal(terminal.settings(), terminal.before);
  });

  it('ends by Ctrl+C with the terminal as it was', async (context) => {
    const program = imageProgram(context);
    const terminal = program.atTerminal(['login', '-u', 'me', 'localhost:1']);
    await terminal.until(/Password of me at localhost:1: /);
    terminal.type('sec\u0003');
    assert.deepEqual(await terminal.exited(), { code: null, signal: 'SIGINT' });
    assert.equal(terminal.settings(), terminal.before);
  });

  it('takes no user whose name is not UTF-8', async (context) => {
    const program = imageProgram(context);
    const through = ['sh', '-c', `exec "$@" -u "$(printf 'a\\377')"`, 'sh'];
    const options = { through, input: 'secret\n' };
    await program.fails(
      ['login', '--password-stdin', 'localhost:1'],
      /the value of --username, .* is not UTF-8/,
      options,
    );
  });

  it('needs a terminal, or standard input', async (context) => {
    const program = imageProgram(context);
    await program.fails(
      ['login', '-u', 'me', 'localhost:1'],
      /there is no terminal to ask for the password at, and no --password-stdin; /,
    );
    await program.fails(['login', '--password-stdin'], /--password-stdin goes with --username/);
    for (const name of ['no host/', 'http://localhost:5000', 'quay.io/team'])
      await program.fails(
        ['logout', name],
        /: '[^']+' is no name of a registry; write HOST\[:PORT\], such as quay\.io/,
      );
  });
});
