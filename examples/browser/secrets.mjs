// A value is shown once: not after Back, Forward, reload or a restored tab, not in print, and not on the disk.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { MOODS, holds, until } from './world.mjs';
import { measure } from './measures.mjs';

/** Ways that lead back to a page that was left, each from a page that shows a value. */
const SOON = { timeout: 3000, waitUntil: 'commit' };
const WAYS = {
  reload: (page) => page.reload(),
  'back and forward': async (page) => { await page.goBack(SOON); await page.goForward(SOON); },
  'on and back': async (page, world) => { await page.goto(`${world.screen}/receipt`); await page.goBack(SOON); },
  'saved, and back': async (page) => { await page.click('text="I have saved it"'); await page.goBack(SOON); },
  'to another site and back': async (page, world) => { await page.goto(`${world.stranger.origin}/control`); await page.goBack(SOON); },
  'on, back, on and back': async (page, world) => {
    await page.goto(`${world.screen}/receipt`);
    await page.goBack(SOON);
    await page.goForward(SOON);
    await page.goBack(SOON);
  },
};

/** Goes a way, and says whether the value is there at its end. The browser may refuse to show a page that was answered to a form:
 * then it shows nothing. Of a page that comes back as it was left no end of loading is told. */
async function isSeen(page, value, way) {
  await way.catch((error) => assert.match(String(error), /ERR_CACHE_MISS|ERR_ABORTED|Timeout|Not attached to an active page/));
  for (const pause of [0, 150, 350]) {
    await page.waitForTimeout(pause);
    // A page that is just being replaced has nothing to look at.
    if (await holds(page, value).catch(() => false)) return true;
  }
  return false;
}

let seen = 0;

export const secrets = [
  ['control: this browser does bring a page back as it was left', async (world) => {
    const page = await world.tab();
    await page.goto(`${world.stranger.origin}/control`);
    await page.fill('#value', 'a value that is kept');
    await page.goto(`${world.screen}/receipt`);
    await page.goBack({ waitUntil: 'commit' });
    await page.waitForFunction(() => document.querySelector('#said').textContent === 'kept');
    assert(await holds(page, 'a value that is kept'));
    await page.context().close();
  }],

  ...MOODS.flatMap((scripts) => Object.entries(WAYS).map(([way, go]) => [
    `a value is gone after ${way}, scripts ${scripts}`,
    async (world) => {
      const page = await world.tab('ann', { scripts });
      await page.goto(world.screen);
      const { value, id } = await world.create(page, `gone ${way} ${scripts}`);
      assert(await holds(page, value), 'it was there');
      const shows = await isSeen(page, value, go(page, world));
      seen += shows ? 1 : 0;
      assert(!shows);
      // Rotating shows a value in the same way.
      await page.goto(`${world.screen}/${id}/rotate`);
      await page.click('main button.main');
      const next = await page.inputValue('#value');
      const again = await isSeen(page, next, go(page, world));
      seen += again ? 1 : 0;
      assert(!again);
      await page.context().close();
    },
  ])),

  ['a value is gone from a restored tab, and was never on the disk', async (world) => {
    const folder = mkdtempSync(join(tmpdir(), 'profile-'));
    try {
      for (const scripts of ['on', 'blocked']) {
        const name = `restored ${scripts}`;
        const before = await world.profile(folder, ['about:blank']);
        if (scripts === 'blocked') await before.context.route('**/*.js', (route) => route.abort());
        await world.signIn(before.context, 'ann');
        const [left] = before.context.pages();
        const { value } = await world.create(left, name);
        const elsewhere = await before.context.newPage();
        await elsewhere.goto(`${world.screen}/receipt?receipt=marker-of-${scripts}`);
        // Time for what the browser writes about its tabs.
        await left.waitForTimeout(2500);
        await before.close();
        const found = (text) => {
          try {
            return execFileSync('grep', ['-rlaF', text, folder], { encoding: 'utf8' }).trim().split('\n');
          } catch {
            return [];
          }
        };
        assert(found(`marker-of-${scripts}`).length > 0, 'what pages hold is found on the disk');
        assert.deepEqual(found(value.slice(-38)), [], 'the value is not');
        const after = await world.profile(folder, ['--restore-last-session']);
        const pages = await until(() => after.context.pages().length >= 2 && after.context.pages());
        await pages[0].waitForTimeout(1000);
        assert(pages.some((page) => page.url().includes(`marker-of-${scripts}`)), 'tabs were restored');
        for (const page of pages) {
          for (const look of [async () => {}, () => page.reload(SOON)]) {
            const shows = await isSeen(page, value, look());
            seen += shows ? 1 : 0;
            assert(!shows);
          }
        }
        await after.close();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    }
  }],

  ['a value is not printed', async (world) => {
    const page = await world.tab('ann');
    await world.create(page, 'printed');
    assert(await page.isVisible('#value'));
    await page.emulateMedia({ media: 'print' });
    for (const field of ['#value', '#env', '#curl']) assert(!(await page.isVisible(field)), field);
    assert(await page.isVisible('.printed'));
    await page.context().close();
  }],

  ['a value is in no URL, cookie, referrer or storage', async (world) => {
    const page = await world.tab('ann');
    const said = [];
    page.on('request', (request) => said.push(request.url(), JSON.stringify(request.headers()), request.postData() ?? ''));
    const { value } = await world.create(page, 'kept nowhere');
    await page.click('text="I have saved it"');
    said.push(JSON.stringify(await page.context().storageState()), await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage, url: location.href, state: history.state, referrer: document.referrer })));
    assert(!said.join('\n').includes(value.slice(10)));
    await page.context().close();
  }],

  ['values seen again', async () => {
    measure('values seen again after Back, Forward, reload, a restored tab; scripts on, off, blocked', seen, 0);
  }],
];
