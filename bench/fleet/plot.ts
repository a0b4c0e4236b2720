/** Requests over time as a picture: SVG, one strip for each scenario, all of the same scale. */

interface Strip {
  readonly scenario: string;
  readonly mean: number;
  readonly requests: readonly number[];
}

const width = 900;
const stripHeight = 90;
const [left, right, top] = [180, 20, 30];
/** The scale ends here, in means: what is above is cut and named. */
const mostMeans = 12;
const minutesAPoint = 10;

export function plot(strips: readonly Strip[]): string {
  const height = top + strips.length * stripHeight + 30;
  const drawn = strips.map((strip, index) => draw(strip, top + index * stripHeight));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${left}" y="18" fill="#333">requests in a minute, in means (grey line: 1, dashed: 3); ${minutesAPoint} minutes a point</text>`,
    ...drawn,
    '</svg>',
    '',
  ].join('\n');
}

function draw({ scenario, mean, requests }: Strip, y: number): string {
  const base = y + stripHeight - 12;
  const scale = (stripHeight - 24) / mostMeans;
  const points: number[] = [];
  for (let start = 0; start + minutesAPoint <= requests.length; start += minutesAPoint) {
    const total = requests.slice(start, start + minutesAPoint).reduce((sum, one) => sum + one, 0);
    points.push(total / minutesAPoint / mean);
  }
  const step = (width - left - right) / Math.max(1, points.length - 1);
  const at = (value: number): number => base - Math.min(value, mostMeans) * scale;
  const path = points.map((value, index) => `${(left + index * step).toFixed(1)},${at(value).toFixed(1)}`).join(' ');
  const most = Math.max(...points);
  const level = (value: number, dash: string): string =>
    `<line x1="${left}" x2="${width - right}" y1="${at(value)}" y2="${at(value)}" stroke="#999" stroke-dasharray="${dash}"/>`;
  return [
    `<text x="8" y="${base - 20}" fill="#111">${scenario}</text>`,
    `<text x="8" y="${base - 4}" fill="#666">peak ${most.toFixed(1)}</text>`,
    level(1, ''),
    level(3, '4 3'),
    `<polyline fill="none" stroke="#0b62a4" stroke-width="1.2" points="${path}"/>`,
  ].join('\n');
}
