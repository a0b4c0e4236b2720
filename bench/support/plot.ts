/** Figures as a picture: SVG, a bar for each that has a target, as a share of what the target allows. */
import { type Figure, isMet, ratioOf } from './figures.ts';

const width = 900;
const rowHeight = 22;
const [left, right, top] = [420, 90, 34];
/** The scale ends here, in targets: what is above is cut, and its number says how much it is. */
const mostTargets = 3;

export function plotFigures(figures: readonly Figure[]): string {
  const held = figures.filter(({ target }) => target !== undefined);
  const height = top + held.length * rowHeight + 12;
  const limitAt = left + (width - left - right) / mostTargets;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="18" fill="#333">measured, as a share of the target (dashed line)</text>`,
    ...held.map((figure, index) => bar(figure, top + index * rowHeight)),
    `<line x1="${limitAt}" x2="${limitAt}" y1="${top - 6}" y2="${height - 8}" stroke="#555" stroke-dasharray="4 3"/>`,
    '</svg>',
    '',
  ].join('\n');
}

function bar(figure: Figure, y: number): string {
  const { what, target, value } = figure;
  const measured = target?.of === 'ratio' ? (ratioOf(figure) ?? 0) : value;
  const share = target === undefined || target.limit === 0 ? measured : measured / target.limit;
  const length = (Math.min(share, mostTargets) * (width - left - right)) / mostTargets;
  const colour = isMet(figure) === true ? '#2f7d4f' : '#b3402a';
  return [
    `<text x="${left - 8}" y="${y + 14}" text-anchor="end" fill="#111">${escaped(what)}</text>`,
    `<rect x="${left}" y="${y + 3}" width="${length.toFixed(1)}" height="${rowHeight - 8}" fill="${colour}"/>`,
    `<text x="${(left + length + 6).toFixed(1)}" y="${y + 14}" fill="#333">${share.toFixed(2)}</text>`,
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
