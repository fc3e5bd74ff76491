// Every flow of the screen in a real browser, and every measure of it.
//   node run.mjs PROGRAM OUT [--update | --without-looks]     OUT: where pictures and measures.md go, if they are to be written

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { World } from './world.mjs';
import { measures, table } from './measures.mjs';
import { flows } from './flows.mjs';
import { secrets } from './secrets.mjs';
import { attacks } from './attacks.mjs';
import { pages } from './pages.mjs';
import { keyboard } from './keyboard.mjs';

const [program, out, ...flags] = process.argv.slice(2);
const update = flags.includes('--update');
const looks = !flags.includes('--without-looks');
const only = process.env.ONLY;

setTimeout(() => { console.log("it takes too long"); process.exit(1); }, 8 * 60_000).unref();
const world = await World.start(program);
world.pictures = update ? out : null;
world.looks = looks;
if (update) mkdirSync(out, { recursive: true });
let failed = 0;
try {
  for (const [says, test] of [...flows, ...attacks, ...secrets, ...keyboard, ...pages]) {
    if (only && !says.includes(only)) continue;
    const started = performance.now();
    try {
      await test(world);
      console.log(`ok    ${says} (${Math.round(performance.now() - started)} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${says}\n${error.stack}`);
    }
  }
} finally {
  await world.stop();
}
console.log(table());
if (!only) {
  const missed = measures.filter((measure) => !measure.fits);
  failed += missed.length;
  for (const measure of missed) console.log(`MISSED ${measure.name}: ${measure.value}, target ${measure.target}`);
}
if (update && !failed && !only) writeFileSync(join(out, 'measures.md'), `# Measures of the screen\n\nWritten by \`scripts/browser --update\` from a run of every check. How long a page of 1,000 rows takes is measured by \`token-bench\`, in its row \`screen.render\`.\n\n${table()}\n`);
console.log(failed ? `${failed} failed` : 'all passed');
process.exit(failed ? 1 : 0);
