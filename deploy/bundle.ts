/**
 * `npm run bundle`: the agent and all it needs in one file, dist/agent.mjs, for images and for nodes without npm. It starts in
 * half the time and takes less memory than the same modules one by one. Beside it lie dist/probe.mjs, the kubelet's probes,
 * dist/handshake.mjs, a thread of the agent, dist/second-opinion.mjs, a process that it starts, and dist/signer.mjs, the trial signer, which has an image of
 * its own. Source maps lie beside them and are not needed to run.
 *
 * https://esbuild.github.io/api/
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { build, type Metafile, type Plugin, transform } from 'esbuild';

const root = join(import.meta.dirname, '..');

/**
 * Of the Kubernetes client library the agent uses what reads a kubeconfig and authenticates; its calls go over node:https.
 * So the library is taken from the module that does this, without its index, which brings everything else along.
 */
const kubernetesClient = join(dirname(createRequire(import.meta.url).resolve('@kubernetes/client-node')), 'config.js');

/**
 * What libraries import for calls that the agent never makes: HTTP by fetch, generated API clients, proxies (Node itself goes
 * through the one that a kubeconfig names), exemplars of traces, the cloud logins that kubectl gave up in 1.26, log
 * transports in threads. By the module's name in their imports, the names that they take from it; the build fails when a
 * library comes to take another one.
 */
const leftOut: Readonly<Record<string, readonly string[]>> = {
  undici: ['Agent', 'ProxyAgent'],
  'socks-proxy-agent': ['SocksProxyAgent'],
  socks: ['SocksClient'],
  hpagent: ['HttpProxyAgent', 'HttpsProxyAgent'],
  './gen/index.js': ['ServerConfiguration', 'createConfiguration'],
  '@opentelemetry/api': ['trace', 'context'],
  'jsonpath-plus': ['JSONPath'],
  'thread-stream': [],
};

/**
 * Writes agent.mjs, probe.mjs, handshake.mjs, second-opinion.mjs and signer.mjs, a map for each, and THIRD-PARTY-LICENSES.txt.
 * @param directory where to; it is emptied first
 * @returns the directories of the packages of which something is in there, from the root
 */
export async function bundleAgent(directory: string): Promise<readonly string[]> {
  rmSync(directory, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: {
      agent: 'agent/main.ts',
      probe: 'agent/cli/probe-program.ts',
      handshake: 'agent/uptake/handshake-program.ts',
      'second-opinion': 'agent/keys/second-opinion-program.ts',
      signer: 'signer/main.ts',
    },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // Names of this project stay: they are what a stack trace of an operator says.
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'external',
    legalComments: 'none',
    // Nothing but ASCII: V8 keeps such a source with one byte a character, any other with two.
    charset: 'ascii',
    alias: { '@kubernetes/client-node': kubernetesClient },
    plugins: [leaveOut, nodeModules, oneYaml, ascii, shortNames],
    // CommonJS packages call require, which an ES module does not have.
    banner: { js: "import { createRequire } from 'node:module';const require = createRequire(import.meta.url);" },
    metafile: true,
    logLevel: 'warning',
  });
  const packages = packagesIn(metafile);
  writeFileSync(join(directory, 'THIRD-PARTY-LICENSES.txt'), packages.map(describe).join('\n'));
  return packages;
}

/** Puts a module that nobody calls aside; what stands for it says so if somebody does call it. */
const leaveOut: Plugin = {
  name: 'leave-out',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, importer }) =>
      path in leftOut && importer.includes('node_modules') ? { path, namespace: 'left-out' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'left-out' }, ({ path }) => {
      const names = (leftOut[path] ?? []).map((name) => `export const ${name} = absent(${JSON.stringify(name)});`);
      return { contents: [absence(path), ...names].join('\n') };
    });
  },
};

/** JavaScript of `absent(name)`: something that throws however it is used. */
function absence(module: string): string {
  const text = JSON.stringify(` of ${module} is not in this bundle: deploy/bundle.ts leaves it out`);
  return `function absent(name) {
    const fail = () => { throw new Error(name + ${text}); };
    return new Proxy(fail, { apply: fail, construct: fail, get: fail });
  }`;
}

/**
 * Takes Node.js' own modules without import statements. Such a statement reads all that a module has, and in `node:http` that is
 * also a WebSocket whose first reading loads the whole of undici: 10 MiB and a tenth of a second of each program's start.
 */
const nodeModules: Plugin = {
  name: 'node-modules',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path) ? { path, namespace: 'node-modules' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'node-modules' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/** The kubeconfig is read twice, by the client library and by the agent: by one YAML parser, so that both see the same. */
const oneYaml: Plugin = {
  name: 'one-yaml',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^js-yaml$/ }, ({ path }) => ({ path, namespace: 'one-yaml' }));
    onLoad({ filter: /./, namespace: 'one-yaml' }, () => ({
      contents: "export { parse as load } from 'yaml';",
      resolveDir: root,
    }));
  },
};

/** esbuild writes ASCII except in regular expressions and tagged templates, where an escape means the same. */
const ascii: Plugin = {
  name: 'ascii',
  setup({ onLoad }) {
    onLoad({ filter: /\/(agent|volumes|signer)\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(
        /[^\0-\x7f]/g,
        (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
      ),
      loader: 'ts',
    }));
  },
};

/** Shortens the names inside the libraries' functions; what a library names for others, classes among them, keeps its name. */
const shortNames: Plugin = {
  name: 'short-names',
  setup({ onLoad }) {
    onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), {
        sourcefile: path,
        target: 'node24',
        minifyIdentifiers: true,
        sourcemap: 'inline',
      });
      return { contents: code, loader: 'js' };
    });
  },
};

/** All packages of which something is in the bundle. */
function packagesIn(metafile: Metafile): readonly string[] {
  const used = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? packageOf(path) : [])),
  );
  return [...new Set(used)].toSorted();
}

/** The directory of the package that a module belongs to; none for modules of this project. */
function packageOf(path: string): readonly string[] {
  const [, directory] = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
  return directory === undefined ? [] : [directory];
}

/** Name, version and licence of a package: most licences ask to be passed on with what they cover. */
function describe(directory: string): string {
  const path = join(root, directory);
  const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const file = readdirSync(path).find((entry) => /^(licen[cs]e|copying)(\.|$)/i.test(entry));
  const text = file === undefined ? '' : readFileSync(join(path, file), 'utf8').trim();
  return `${'='.repeat(80)}\n${name} ${version} (${license ?? 'see below'})\n${'='.repeat(80)}\n${text}\n`;
}

if (import.meta.main) {
  await bundleAgent(join(root, 'dist'));
}
