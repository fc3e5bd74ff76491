// What people do, with scripts on, off and blocked.

import assert from 'node:assert/strict';
import { join } from 'node:path';

import { MOODS } from './world.mjs';
import { measure } from './measures.mjs';

const text = (page) => page.locator('main').innerText();

/** A tab that counts clicks. */
function counting(page) {
  let clicks = 0;
  return { click: async (selector) => { clicks += 1; await page.click(selector); }, get clicks() { return clicks; } };
}

const perMood = (says, test) => MOODS.map((scripts) => [`${says}, scripts ${scripts}`, (world) => test(world, scripts)]);

export const flows = [
  ['pictures are taken', async (world) => {
    if (!world.pictures) return;
    const shot = async (page, name) => page.screenshot({ path: join(world.pictures, `${name}.png`), fullPage: true });
    const page = await world.tab('ann');
    const of = async (name) => `${world.screen}/${(await world.token(name)).id}`;
    await page.goto(world.screen);
    await shot(page, 'list');
    await page.emulateMedia({ colorScheme: 'dark' });
    await shot(page, 'list-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 320, height: 640 });
    await shot(page, 'list-320');
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto(`${await of('billing-sync')}`);
    await shot(page, 'detail');
    await page.goto(`${await of('billing-sync')}/revoke`);
    await page.fill('#name', 'billing-s');
    await shot(page, 'revoke');
    await page.goto(`${await of('deploy')}/rotate`);
    await shot(page, 'rotate');
    await page.goto(`${world.screen}/new`);
    await page.fill('#name', 'nightly report on db-2');
    await page.check('[name="p.projects"][value="write"]');
    await page.check('[name="p.invoices"][value="read"]');
    await shot(page, 'create');
    await page.click('main button.main');
    await shot(page, 'reveal');
    await page.goto(`${await of('nightly report on db-2')}/revoke`);
    await page.fill('#name', 'nightly report on db-2');
    await page.click('main button.danger');
    await page.context().close();
  }],

  ...perMood('a token is made, shown, used, rotated and revoked', async (world, scripts) => {
    const page = await world.tab('ann', { scripts });
    const name = `made with scripts ${scripts}`;
    await page.goto(world.screen);
    const create = counting(page);
    await create.click('text="Create token"');
    await page.fill('#name', name);
    await create.click('main button.main');
    const value = await page.inputValue('#value');
    assert.equal((await world.use(value)).status, 403, 'without a permission it is known, and may do nothing');
    if (scripts === 'on') measure('clicks to create, beside the name', create.clicks, 2);
    assert.match(await page.inputValue('#env'), /^ACME_LIVE_TOKEN=acme_live_/);
    // A button that can do nothing is not shown.
    await page.locator('[data-copy="value"]').waitFor({ state: scripts === 'on' ? 'visible' : 'hidden' });
    await page.click('text="I have saved it"');
    assert(page.url().startsWith(world.screen));
    const { id } = await world.token(name);

    await page.goto(`${world.screen}/${id}/edit`);
    await page.check('[name="p.projects"][value="read"]');
    await page.click('main button.main');
    assert.match(await text(page), /Projects: read/);
    assert.equal((await world.use(value)).status, 200);

    await page.goto(world.screen);
    const rotate = counting(page);
    await rotate.click(`a[href$="/${id}/rotate"]`);
    await rotate.click('main button.main');
    const second = await page.inputValue('#value');
    if (scripts === 'on') measure('clicks to rotate', rotate.clicks, 2);
    assert.notEqual(second, value);
    for (const works of [value, second]) assert.equal((await world.use(works)).status, 200, 'both work meanwhile');

    await page.goto(`${world.screen}?q=${encodeURIComponent(name)}`);
    assert.match(await text(page), /Old value acme_live_.…?[\s\S]*left/);
    await page.click(`a[href$="/${id}/end-overlap"]`);
    await page.click('main button.danger');
    assert.equal((await world.use(value)).status, 401);

    await page.goto(world.screen);
    const revoke = counting(page);
    await revoke.click(`a[href$="/${id}/revoke"]`);
    await page.fill('#name', name);
    await revoke.click('main button.danger');
    if (scripts === 'on') measure('clicks to revoke, beside the name', revoke.clicks, 2);
    assert.match(await text(page), /Revoked[\s\S]*All of its values are refused/);
    assert.equal((await world.use(second)).status, 401);
    await page.context().close();
  }),

  ...perMood('several tokens are selected, looked at and revoked', async (world, scripts) => {
    const page = await world.tab('ann', { scripts });
    const ids = [];
    for (const number of [1, 2]) ids.push((await world.create(page, `bulk ${scripts} ${number}`)).id);
    await page.goto(world.screen);
    for (const id of ids) await page.check(`[name="t.${id}"]`);
    await page.click('text="Revoke selected…"');
    assert.match(await text(page), /Revoke 2 tokens/);
    await page.uncheck(`[name="t.${ids[1]}"]`);
    await page.click('main button.danger');
    assert.match(await text(page), /One token is revoked/);
    assert.ok((await world.token(`bulk ${scripts} 1`)).revoked_at);
    assert.equal((await world.token(`bulk ${scripts} 2`)).revoked_at, null);
    await page.context().close();
  }),

  ...perMood('a form that is wrong says so, keeps what was typed, and makes nothing', async (world, scripts) => {
    const page = await world.tab('ann', { scripts });
    const before = (await world.tokens('ann')).length;
    await page.goto(`${world.screen}/new`);
    await page.fill('#name', 'wrong');
    await page.check('[name="p.projects"][value="write"]');
    await page.check('[name="reach"][value="some"]');
    await page.click('summary');
    await page.fill('#networks', '198.51.100.7/24');
    await page.click('main button.main');
    const said = await text(page);
    assert.match(said, /2 things to mend/);
    assert.match(said, /did you mean 198\.51\.100\.0\/24/);
    // `autofocus` is acted on when the page is next drawn.
    await page.waitForSelector('#faults:focus');
    assert.equal(await page.inputValue('#name'), 'wrong');
    assert.equal(await page.inputValue('#networks'), '198.51.100.7/24');
    assert(await page.isChecked('[name="p.projects"][value="write"]'));
    assert.equal(await page.getAttribute('#networks', 'aria-invalid'), 'true');
    assert.equal((await world.tokens('ann')).length, before);
    await page.context().close();
  }),

  ['a link fills a form in and sends nothing', async (world) => {
    const page = await world.tab('ann');
    const before = (await world.tokens('ann')).length;
    await page.goto(`${world.screen}/new?name=from%20a%20link&p.projects=read&expires=30`);
    assert.equal(await page.inputValue('#name'), 'from a link');
    assert(await page.isChecked('[name="p.projects"][value="read"]'));
    assert(await page.isChecked('[name="expires"][value="30"]'));
    assert.match(await page.innerText('#summary'), /Projects: read/);
    await page.click('text="Deploy projects"');
    assert(await page.isChecked('[name="p.projects"][value="write"]'));
    assert.equal(await page.inputValue('#name'), 'from a link', 'a preset keeps what was typed');
    assert.equal((await world.tokens('ann')).length, before);
    await page.context().close();
  }],

  ['a value is copied, and a live region says so', async (world) => {
    const page = await world.tab('ann', { permissions: ['clipboard-read', 'clipboard-write'] });
    const { value } = await world.create(page, 'copied');
    await page.click('[data-copy="value"]');
    await page.waitForFunction(() => document.querySelector('#copied').textContent !== '');
    assert.equal(await page.getAttribute('#copied', 'role'), 'status');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
    await page.focus('#value');
    assert.equal(await page.evaluate(() => getSelection().toString() || document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)), value, 'it is selected when it has the focus');
    await page.context().close();
  }],

  ['a stale sign-in is told where the form is fetched, and keeps what was typed where it is sent', async (world) => {
    const page = await world.tab('ann', { minutesAgo: 60 });
    await page.goto(`${world.screen}/new`);
    assert.match(await text(page), /Sign in again/);
    const url = new URL(await page.getAttribute('main a.main', 'href'), world.origin);
    assert.equal(url.searchParams.get('next'), '/settings/tokens/new');
    // Fresh when it was fetched, stale when it is sent.
    await world.signIn(page.context(), 'ann');
    await page.goto(`${world.screen}/new`);
    await page.fill('#name', 'kept while stale');
    await world.signIn(page.context(), 'ann', 60);
    const before = (await world.tokens('ann')).length;
    await page.click('main button.main');
    assert.match(await text(page), /You signed in too long ago/);
    assert.equal(await page.inputValue('#name'), 'kept while stale');
    assert.equal((await world.tokens('ann')).length, before);
    await world.signIn(page.context(), 'ann');
    await page.click('main button.main');
    assert.match(await page.inputValue('#value'), /^acme_live_/);
    // Ending access waits for nobody.
    const { id } = await world.token('kept while stale');
    await world.signIn(page.context(), 'ann', 600);
    await page.goto(`${world.screen}/${id}/revoke`);
    await page.fill('#name', 'kept while stale');
    await page.click('main button.danger');
    assert.ok((await world.token('kept while stale')).revoked_at);
    await page.context().close();
  }],

  ['a refused request is looked up by its receipt', async (world) => {
    const page = await world.tab('ann');
    const { value } = await world.create(page, 'lacking');
    const { body } = await world.use(value);
    await page.goto(world.screen);
    await page.click('text="Look up a refused request"');
    await page.fill('#receipt', body.receipt);
    await page.click('main button.main');
    assert.match(await text(page), /Permission missing[\s\S]*lacking/);
    const other = await world.tab('bob');
    await other.goto(`${world.screen}/receipt?receipt=${body.receipt}`);
    assert.match(await text(other), /not yours/);
    await page.context().close();
    await other.context().close();
  }],

  ['an admin sees everyone’s tokens and rehearses a policy before it is set', async (world) => {
    const page = await world.tab('admin');
    await page.goto(`${world.screen}?owner=ann`);
    assert.match(await text(page), /billing-sync/);
    await page.click('text="Policy"');
    await page.fill('#max_lifetime', '30 d');
    await page.fill('#default_lifetime', '30 d');
    await page.click('text="See what it would refuse"');
    assert.match(await text(page), /\d+ tokens of \d+ would be refused/);
    await page.reload();
    await page.goto(`${world.screen}/policy`);
    assert.equal(await page.inputValue('#max_lifetime'), '365 d', 'nothing was set');
    await page.fill('#max_overlap', 'a while');
    await page.click('text="Set policy"');
    assert.match(await text(page), /One thing to mend/);
    await page.context().close();
    const ann = await world.tab('ann');
    await ann.goto(`${world.screen}/policy`);
    assert.match(await text(ann), /not allowed/);
    await ann.context().close();
  }],

  ['whoever may only look is told so, and offered nothing', async (world) => {
    const page = await world.tab('viewer');
    await page.goto(world.screen);
    assert.match(await text(page), /You may look at these tokens, and not change them/);
    for (const selector of ['a[href$="/rotate"]', 'a[href$="/revoke"]', 'main button.danger', 'input[type=checkbox]', 'a[href$="/new"]']) {
      assert.equal(await page.locator(selector).count(), 0, selector);
    }
    await page.context().close();
  }],

  ['what matters of a token is in the list without a click', async (world) => {
    const page = await world.tab('ann');
    await page.goto(world.screen);
    const said = await text(page);
    const wanted = {
      'last use': /198\.51\.100\.4/,
      permissions: /Projects: read and write/,
      refusals: /\d+ refused/,
      'old value': /Old value acme_live_/,
      'what needs attention': /Needs attention/,
      sources: /network not seen before|198\.51\.100\.\d+/,
      log: /Recent activity/,
    };
    const missing = Object.entries(wanted).filter(([, pattern]) => !pattern.test(said)).map(([name]) => name);
    measure('clicks to last use, permissions, refusals, sources, log', missing.length ? `not there: ${missing.join(', ')}` : 0, 0);
    await page.context().close();
  }],

];
