/**
 * `npm run bench`: benchmarks by name, as ratios within one run. Without a name: which there are.
 */

const benches: Readonly<Record<string, { readonly file: string; readonly what: string }>> = {
  keys: { file: './keys.ts', what: 'making and proving keys, by key type' },
  issuance: { file: './issuance.ts', what: 'the first certificate of one pod and of many at once' },
  scrapes: { file: './scrapes.ts', what: 'what reading the metrics costs' },
  fleet: {
    file: './fleet/main.ts',
    what: 'the requests of 5,000 agents over simulated days [--agents N] [--json FILE] [--plot FILE]',
  },
};

const name = process.argv[2] ?? '';
const bench = benches[name];
if (bench === undefined) {
  const lines = Object.entries(benches).map(([known, { what }]) => `  ${known.padEnd(10)}${what}`);
  const wanted = name === '' || name === '--help' ? '' : `there is no benchmark ${name}\n`;
  process.stderr.write(`${wanted}npm run bench -- NAME\n${lines.join('\n')}\n`);
  process.exitCode = wanted === '' ? 0 : 1;
} else {
  // Each reads its own options, as if it had been started by itself.
  process.argv.splice(2, 1);
  await import(bench.file);
}
