/**
 * `npm run bench`: how fast the agent is and what it takes, against targets. Without a name all benches that give such figures;
 * with a name one of them, or one of the studies, which print what they find and take their own options.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleAgent } from '../deploy/bundle.ts';
import type { Bench, Figure } from './support/figures.ts';
import { describeMachine, machineText } from './support/machine.ts';
import { plotFigures } from './support/plot.ts';
import { resultsPage, tableText } from './support/report.ts';

/** In the order in which they run. */
const benches: Readonly<Record<string, () => Promise<{ readonly bench: Bench }>>> = {
  publish: () => import('./publish.ts'),
  ahead: () => import('./ahead.ts'),
  burst: () => import('./burst.ts'),
  refresh: () => import('./refresh.ts'),
  first: () => import('./first.ts'),
  start: () => import('./start.ts'),
  restart: () => import('./restart.ts'),
  rest: () => import('./rest.ts'),
  renewals: () => import('./renewals.ts'),
  bundles: () => import('./bundles.ts'),
};

const studies: Readonly<Record<string, { readonly file: string; readonly what: string }>> = {
  keys: { file: './keys.ts', what: 'making and proving keys, by key type' },
  scrapes: { file: './scrapes.ts', what: 'what reading the metrics costs' },
  fleet: {
    file: './fleet/main.ts',
    what: 'the requests of 5,000 agents over simulated days [--agents N] [--json FILE] [--plot FILE]',
  },
};

const startedAt = performance.now();
const [name = ''] = process.argv.slice(2);
const study = studies[name];
if (study !== undefined) {
  // Each reads its own options, as if it had been started by itself.
  process.argv.splice(2, 1);
  await import(study.file);
} else {
  process.exitCode = await runBenches();
}

/** What a bench has started and mounted goes with it, on the event `exit`. */
function endInOrder(): void {
  process.exit(1);
}

async function runBenches(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: { type: 'boolean', default: false },
      json: { type: 'string' },
      plot: { type: 'string' },
      results: { type: 'string' },
      remark: { type: 'string' },
      renewals: { type: 'string', default: '3000' },
    },
  });
  const unknown = positionals.filter((each) => benches[each] === undefined);
  if (values.help || unknown.length > 0) {
    process.stderr.write(`${unknown.map((each) => `there is no benchmark ${each}\n`).join('')}${await help()}`);
    return values.help ? 0 : 1;
  }
  process.once('SIGINT', endInOrder);
  process.once('SIGTERM', endInOrder);
  const renewals = Number(values.renewals);
  const machine = describeMachine();
  progress(machineText(machine));
  progress('building the bundle');
  await bundleAgent(join(import.meta.dirname, '../dist'));
  const figures: Figure[] = [];
  for (const [each, load] of Object.entries(benches)) {
    if (positionals.length === 0 || positionals.includes(each)) {
      const { bench } = await load();
      figures.push(...(await bench.measure({ progress: (text) => progress(`${each}: ${text}`), renewals })));
    }
  }
  process.stdout.write(tableText(figures));
  const files = [
    [values.json, () => `${JSON.stringify({ machine, figures }, undefined, 2)}\n`],
    [values.plot, () => plotFigures(figures)],
    [values.results, () => resultsPage(figures, machine, values.remark)],
  ] as const;
  for (const [path, text] of files) {
    if (path !== undefined) {
      writeFileSync(path, text());
    }
  }
  return 0;
}

function progress(text: string): void {
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${text}\n`);
}

async function help(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(benches).map(async ([each, load]) => `  ${each.padEnd(10)}${(await load()).bench.what}`),
  );
  const more = Object.entries(studies).map(([each, { what }]) => `  ${each.padEnd(10)}${what}`);
  return `npm run bench [-- [NAME …] [--json FILE] [--plot FILE] [--results FILE] [--remark TEXT] [--renewals N]]
Measures the bundle against floors taken in the same run, and says which targets are met. At most ten minutes on two cores.
--results writes the page bench/RESULTS.md is, --remark says there under which conditions.
--renewals says how often certificates are renewed in the bench of that name; 3,000 if not said, 100,000 take most of an hour.
${lines.join('\n')}
Studies, one at a time, with options of their own:
${more.join('\n')}
`;
}
