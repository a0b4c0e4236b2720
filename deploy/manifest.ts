/**
 * `npm run manifest`: writes deploy/manifest.yaml, the chart with its defaults for those who do not use Helm. A test
 * compares the two.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Rendering, renderChart } from './chart.ts';

export const manifestFile = join(import.meta.dirname, 'manifest.yaml');

const preamble = `# The Helm chart with its defaults, made by \`npm run manifest\`: change the chart, not this file. Before it is applied, the
# image has to be named, since this project publishes none (docs/install.md).
`;

/**
 * The manifest as it should be.
 * @param introduction comments at its head
 * @throws Error when helm is missing or refuses
 */
export function manifestText(rendering: Rendering = renderChart(), introduction: string = preamble): string {
  if (rendering.type !== 'rendered') {
    throw new Error(rendering.message);
  }
  const withoutHelm = rendering.yaml
    .replace(/^ *helm\.sh\/chart: .*\n/gm, '')
    .replaceAll('app.kubernetes.io/managed-by: Helm', 'app.kubernetes.io/managed-by: kubectl')
    .replace(/^# Source: .*\n/gm, '');
  return introduction + withoutHelm;
}

if (import.meta.main) {
  try {
    writeFileSync(manifestFile, manifestText());
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
