/** Figures as a table for terminals, as a page in Markdown, and as JSON. */
import { type Figure, isMet, ratioOf } from './figures.ts';
import { type Machine, machineText } from './machine.ts';

const header = ['what', 'measured', 'floor', '× floor', 'target', ''] as const;

/** A table for a terminal: columns of the same width. */
export function tableText(figures: readonly Figure[]): string {
  const rows = [header, ...figures.map(cellsOf)];
  const widths = header.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd();
  return `${[...rows.map(line), ...notesOf(figures)].join('\n')}\n`;
}

export function resultsPage(figures: readonly Figure[], machine: Machine, remark: string | undefined): string {
  const rows = [header, header.map(() => '---'), ...figures.map(cellsOf)];
  const missed = figures.filter((figure) => isMet(figure) === false).length;
  const held = figures.filter((figure) => isMet(figure) !== undefined).length;
  return [
    '# Results of the benchmarks',
    '',
    'Written by `npm run bench -- --results bench/RESULTS.md`; CONTRIBUTING.md says how figures are taken. Times belong to the machine, ratios',
    'to the program: the floor is a script that does the bare steps and nothing else, in the same run and in turns with the agent.',
    'docs/performance.md says why targets are missed.',
    '',
    `Machine: ${machineText(machine)}.`,
    ...(remark === undefined ? [] : ['', `Conditions: ${remark}`]),
    '',
    `${held - missed} of ${held} targets met.`,
    '',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    ...notesOf(figures).map((note) => `- ${note}`),
    '',
  ].join('\n');
}

function cellsOf(figure: Figure): readonly string[] {
  const { what, unit, value, floor, target } = figure;
  const ratio = ratioOf(figure);
  const met = isMet(figure);
  return [
    what,
    `${numberText(value)} ${unit}`,
    floor === undefined ? '' : `${numberText(floor)} ${unit}`,
    ratio === undefined ? '' : ratio.toFixed(2),
    target === undefined ? '' : `≤ ${numberText(target.limit)} ${target.of === 'ratio' ? '×' : unit}`,
    met === undefined ? '' : met ? 'met' : 'NOT MET',
  ];
}

/** Three digits that count, and no more than the measurement has. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) {
    return String(value);
  }
  const digits = Math.max(0, Math.min(2, 2 - Math.floor(Math.log10(Math.abs(value) || 1))));
  return Number(value.toFixed(digits)).toLocaleString('en-US');
}

function notesOf(figures: readonly Figure[]): readonly string[] {
  return [...new Set(figures.flatMap(({ note }) => (note === undefined ? [] : [note])))];
}
