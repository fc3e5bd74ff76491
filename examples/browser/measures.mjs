// What was measured, beside what it must be.

export const measures = [];

/** Notes a figure that must not be above its target; or, of words, must be it. */
export function measure(name, value, target) {
  const fits = typeof target === 'number' ? value <= target : value === target;
  measures.push({ name, value, target: typeof target === 'number' ? `<= ${target}` : target, fits });
}

export function table() {
  const rows = measures.map((measure) => `| ${measure.name} | ${measure.value} | ${measure.target} |`);
  return ['| measure | found | target |', '|---|---|---|', ...rows].join('\n');
}
