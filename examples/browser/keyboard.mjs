// Every task without a mouse.

import assert from 'node:assert/strict';

import { measure } from './measures.mjs';

const focused = (page) => page.evaluate(() => {
  const element = document.activeElement;
  return { text: element.textContent.trim(), id: element.id, name: element.name ?? '', type: element.type ?? '', href: element.getAttribute('href') ?? '' };
});

/** Presses Tab until what has the focus is what is wanted; how often. */
async function tabTo(page, wanted, most = 80) {
  for (let stops = 1; stops <= most; stops += 1) {
    await page.keyboard.press('Tab');
    if (wanted(await focused(page))) return stops;
  }
  throw new Error('Tab does not lead there');
}

const press = async (page, key) => {
  await Promise.all([page.waitForNavigation(), page.keyboard.press(key)]);
};

export const keyboard = [
  ['with the keyboard alone a token is made, copied, rotated, looked into and revoked', async (world) => {
    const page = await world.tab('ann', { permissions: ['clipboard-read', 'clipboard-write'] });
    await page.goto(world.screen);
    const stops = await tabTo(page, (at) => at.text === 'Create token');
    measure('Tab stops to Create', stops, 5);
    await press(page, 'Enter');
    await tabTo(page, (at) => at.id === 'name');
    await page.keyboard.type('by keyboard');
    await tabTo(page, (at) => at.name === 'p.projects');
    await page.keyboard.press('ArrowDown');
    await tabTo(page, (at) => at.name === 'expires');
    await page.keyboard.press('ArrowUp');
    await tabTo(page, (at) => at.text === 'Create token');
    await press(page, 'Enter');
    const value = await page.inputValue('#value');
    assert.equal((await world.use(value)).status, 200);
    await tabTo(page, (at) => at.text === 'Copy Value');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('#copied').textContent !== '');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
    await tabTo(page, (at) => at.text === 'I have saved it');
    await press(page, 'Enter');

    const { id } = await world.token('by keyboard');
    await tabTo(page, (at) => at.href.endsWith(`${id}/rotate`));
    await press(page, 'Enter');
    await tabTo(page, (at) => at.text === 'Rotate by keyboard');
    await press(page, 'Enter');
    await tabTo(page, (at) => at.text === 'I have saved it');
    await press(page, 'Enter');

    await tabTo(page, (at) => at.href.endsWith(`/${id}`));
    await press(page, 'Enter');
    await tabTo(page, (at) => at.text === 'Revoke');
    await press(page, 'Enter');
    await tabTo(page, (at) => at.id === 'name');
    await page.keyboard.type('by keyboard');
    await press(page, 'Enter');
    assert.ok((await world.token('by keyboard')).revoked_at);
    await page.context().close();
  }],

  ['whoever jumps to the content is there', async (world) => {
    const page = await world.tab('ann');
    await page.goto(world.screen);
    await page.keyboard.press('Tab');
    assert.equal((await focused(page)).text, 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal((await focused(page)).id, 'main');
    await page.keyboard.press('Tab');
    assert.equal((await focused(page)).text, 'Create token');
    await page.context().close();
  }],

  ['what has the focus is seen to', async (world) => {
    const page = await world.tab('ann');
    for (const below of ['', '/new']) {
      await page.goto(world.screen + below);
      for (let stop = 0; stop < 30; stop += 1) {
        await page.keyboard.press('Tab');
        const outline = await page.evaluate(() => {
          const style = getComputedStyle(document.activeElement);
          return document.activeElement === document.body ? 'body' : `${style.outlineStyle} ${style.outlineWidth}`;
        });
        assert(outline === 'body' || /^(solid|auto) [1-9]/.test(outline), outline);
      }
    }
    await page.context().close();
  }],
];
