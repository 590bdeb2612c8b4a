// Bundles the program and the public interface, so that starting one reads one file and not two hundred.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { build } from 'esbuild';
import { revision } from './revision.mjs';

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

// Chunks are named by their content, so those of an earlier build would stay.
for (const entry of readdirSync('dist', { withFileTypes: true })) {
  if (entry.isFile()) rmSync(`dist/${entry.name}`);
}

const common = {
  outdir: 'dist',
  bundle: true,
  platform: 'node',
  target: 'node20',
  // Native addons, and what is loaded on rare occasions only, stay packages.
  external: [
    'koffi',
    'lzma-native',
    'execa',
    'cpio-stream',
    '@observablehq/plot',
    'linkedom',
    'undici',
    'smol-toml',
    'ws',
  ],
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
};

// The programs are CommonJS, which Node starts sooner than an ES module (docs/decisions/0012-program-start.md).
await build({
  ...common,
  entryPoints: {
    'virt-sandbox': 'src/cli/sandbox/main.ts',
    'virt-sandbox-pool': 'src/cli/sandbox/pool-main.ts',
    'virt-sandbox-bake': 'src/cli/bake/main.ts',
    'virt-sandbox-bench': 'src/cli/bench/main.ts',
    'virt-sandbox-ctl': 'src/cli/ctl/main.ts',
    'virt-sandbox-image': 'src/cli/image/main.ts',
    'virt-sandbox-service': 'src/cli/service/main.ts',
    'virt-sandbox-service-generator': 'src/cli/service-generator/main.ts',
  },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  define: { 'import.meta.url': '__moduleUrl', VERSION: JSON.stringify(version), REVISION: JSON.stringify(revision()) },
  banner: { js: "const __moduleUrl=require('node:url').pathToFileURL(__filename).href;" },
  // yargs lays its help out with tables for every script and emoji, which take longer to load than all of this program;
  // the texts here are ASCII.
  alias: { 'string-width': './scripts/ascii-width.mjs' },
});

// What starts them from their compiled code.
await build({
  ...common,
  entryPoints: { compiled: 'src/cli/compiled.ts' },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
});
const { cacheOf, IMPORT, wrapped } = createRequire(import.meta.url)('../dist/compiled.cjs');
const programs = ['', '-pool', '-bake', '-bench', '-ctl', '-image', '-service', '-service-generator'].map(
  (ending) => `virt-sandbox${ending}`,
);
for (const name of programs) {
  const filename = `dist/${name}.cjs`;
  const source = readFileSync(filename, 'utf8').replaceAll(/\bimport\((?=")/g, `${IMPORT}(`);
  writeFileSync(filename, source);
  // V8 compiles functions when they are called; those of a program are to be there before.
  setFlagsFromString('--no-lazy');
  const script = new Script(wrapped(source), { filename });
  setFlagsFromString('--lazy');
  writeFileSync(cacheOf(filename), script.createCachedData());
}

// The common init for a guest that runs it by itself: all in one file, with nothing beside it.
await build({
  ...common,
  external: [],
  entryPoints: { 'guest-init': 'init/common/guest.ts' },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
});

await build({
  ...common,
  entryPoints: { index: 'src/index.ts' },
  format: 'esm',
  splitting: true,
});

// The page of virt-sandbox-ctl view, in which noVNC is.
rmSync('dist/viewer', { recursive: true, force: true });
mkdirSync('dist/viewer');
await build({
  ...common,
  outdir: 'dist/viewer',
  entryPoints: { page: 'src/viewer/page/main.ts' },
  platform: 'browser',
  target: 'es2022',
  format: 'esm',
  banner: { js: '/* Whose code is in here, and where its sources are, is in LICENSES.txt beside it. */' },
});
for (const file of ['page.html', 'page.css']) copyFileSync(`src/viewer/page/${file}`, `dist/viewer/${file}`);
writeFileSync('dist/viewer/LICENSES.txt', novncLicences());

// The help, the manual pages and the completions, from the tables of options that the programs have.
await build({
  entryPoints: ['man/main.ts'],
  outfile: 'build/manual.mjs',
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  logLevel: 'warning',
});
for (const made of ['dist/help', 'dist/share']) rmSync(made, { recursive: true, force: true });
execFileSync(process.execPath, ['build/manual.mjs', version, 'dist']);

/** What the licences in noVNC want to be kept: MPL 2.0 also where the sources are. */
function novncLicences() {
  const directory = 'node_modules/@novnc/novnc';
  const read = (file) => readFileSync(`${directory}/${file}`, 'utf8').trim();
  const { version, repository } = JSON.parse(read('package.json'));
  const source = `${repository.url.replace(/^git\+/, '')}, version ${version}, and https://www.npmjs.com/package/@novnc/novnc`;
  const [desNotice] = read('core/crypto/des.js').split('*/');
  const texts = [
    read('LICENSE.txt'),
    read('AUTHORS'),
    `vendor/pako\n\n${read('vendor/pako/LICENSE')}`,
    `${desNotice}*/`,
  ];
  return `page.js has noVNC in it. Its sources: ${source}\n\n${texts.join('\n\n')}\n`;
}
