/** Quantiles of samples, and the two that results state. */

/** The nearest rank: always one of the samples. @param share from 0 to 1 @throws RangeError when there are no samples */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((one, other) => one - other);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) {
    throw new RangeError('there are no samples');
  }
  return value;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** What stands for the slowest: of fewer than a hundred samples that is the slowest one. */
export function p99(samples: readonly number[]): number {
  return quantile(samples, 0.99);
}
