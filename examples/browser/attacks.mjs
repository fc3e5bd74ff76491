// What others try, from real origins of their own; and what is sent twice, late, or for someone else.

import assert from 'node:assert/strict';

const count = async (world) => (await world.tokens('ann')).length;

/** Sends a form of the stranger's to the screen, as a page that lures people does. */
async function lure(world, page, host, action, fields) {
  const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`).join('');
  world.stranger.html = `<!doctype html><title>lure</title><form method="post" action="${action}">${inputs}<button>win</button></form>`;
  await page.goto(`http://${host}:${world.stranger.port}/`);
  const [answer] = await Promise.all([page.waitForNavigation(), page.click('button')]);
  return answer.status();
}

export const attacks = [
  ['a form of another origin makes nothing, even with a good nonce', async (world) => {
    const page = await world.tab('ann');
    await page.goto(`${world.screen}/new`);
    const nonce = await page.inputValue('[name=nonce]');
    const before = await count(world);
    const fields = { nonce, name: 'lured', reach: 'all', resources: '', expires: '30', date: '', networks: '' };
    // One port further the site is the same, so that the session goes along; under another name it is not.
    assert.equal(await lure(world, page, '127.0.0.1', `${world.screen}/new`, fields), 403);
    assert.match(await page.locator('main').innerText(), /Sent from elsewhere/);
    assert.equal(await lure(world, page, 'localhost', `${world.screen}/new`, fields), 401);
    assert.equal(await count(world), before);
    // The nonce is still good for whom it was made for.
    await page.goto(`${world.screen}/new`);
    await page.fill('#name', 'not lured');
    await page.click('main button.main');
    assert.equal(await count(world), before + 1);
    await page.context().close();
  }],

  ['a form of another origin revokes nothing', async (world) => {
    const page = await world.tab('ann');
    const { id } = await world.create(page, 'not to be ended');
    await page.goto(`${world.screen}/${id}/revoke`);
    const nonce = await page.inputValue('[name=nonce]');
    assert.equal(await lure(world, page, '127.0.0.1', `${world.screen}/${id}/revoke`, { nonce, name: 'not to be ended' }), 403);
    assert.equal((await world.token('not to be ended')).revoked_at, null);
    await page.context().close();
  }],

  ['no page of ours is shown in a frame', async (world) => {
    const page = await world.tab('ann');
    world.stranger.html = `<!doctype html><title>frame</title><iframe src="${world.screen}" title="x"></iframe>`;
    const before = world.complaints.length;
    await page.goto(world.stranger.origin);
    const frame = page.frames().find((frame) => frame !== page.mainFrame());
    await page.waitForTimeout(200);
    assert(!(await frame.content()).includes('API tokens'));
    assert(world.complaints.length > before, 'the browser says that it refused to');
    world.complaints.length = before;
    await page.context().close();
  }],

  ['a form that is sent twice makes one token, and the second answer offers to replace the value', async (world) => {
    const first = await world.tab('ann', { scripts: 'off' });
    await first.goto(`${world.screen}/new`);
    const nonce = await first.inputValue('[name=nonce]');
    const fields = { nonce, name: 'sent twice', 'p.projects': 'read', reach: 'all', resources: '', expires: '30', date: '', networks: '' };
    const send = () => first.request.post(`${world.screen}/new`, { form: fields, headers: { origin: world.origin } });
    const answers = await Promise.all([send(), send(), send()]);
    assert.deepEqual(answers.map((answer) => answer.status()).sort(), [200, 409, 409]);
    assert.equal((await world.tokens('ann', '&q=sent%20twice')).length, 1);
    // The same page, sent again by hand after its answer was lost.
    await first.goto(`${world.screen}/new`);
    await first.fill('#name', 'sent again');
    await first.click('main button.main');
    const lost = await first.inputValue('#value');
    await first.reload();
    assert.match(await first.locator('main').innerText(), /shown in the first answer/);
    await first.click('text="Replace value"');
    const value = await first.inputValue('#value');
    assert.equal((await world.use(lost)).status, 401, 'the lost value has ended');
    assert.equal((await world.use(value)).status, 403);
    assert.equal((await world.tokens('ann', '&q=sent%20again')).length, 1);
    await first.context().close();
  }],

  ['one click more does not send a form twice', async (world) => {
    const page = await world.tab('ann');
    await page.goto(`${world.screen}/new`);
    await page.fill('#name', 'double click');
    await page.dblclick('main button.main');
    await page.waitForSelector('#value');
    assert.match(await page.inputValue('#value'), /^acme_live_/);
    assert.equal((await world.tokens('ann', '&q=double')).length, 1);
    await page.context().close();
  }],

  ['a nonce of someone else, of another form, or invented, makes nothing and keeps what was typed', async (world) => {
    const [ann, bob] = [await world.tab('ann'), await world.tab('bob')];
    await bob.goto(`${world.screen}/new`);
    const bobs = await bob.inputValue('[name=nonce]');
    const { id } = await world.create(ann, 'with a nonce');
    await ann.goto(`${world.screen}/${id}/revoke`);
    const others = await ann.inputValue('[name=nonce]');
    const before = await count(world);
    for (const nonce of [bobs, others, 'A'.repeat(75), '']) {
      await ann.goto(`${world.screen}/new`);
      await ann.fill('#name', 'with a bad nonce');
      await ann.$eval('[name=nonce]', (field, nonce) => { field.value = nonce; }, nonce);
      await ann.click('main button.main');
      assert.match(await ann.locator('main').innerText(), /open it again/);
      assert.equal(await ann.inputValue('#name'), 'with a bad nonce');
    }
    assert.equal(await count(world), before);
    // The form that came back has a good one.
    await ann.click('main button.main');
    assert.equal(await count(world), before + 1);
    await ann.context().close();
    await bob.context().close();
  }],

  ['tokens of others are not there, whatever is asked of them', async (world) => {
    const bob = await world.tab('bob');
    const { id } = await world.token('billing-sync');
    for (const page of ['', '/edit', '/rotate', '/revoke', '/end-overlap']) {
      const answer = await bob.goto(`${world.screen}/${id}${page}`);
      assert.equal(answer.status(), 404, page);
      assert(!(await bob.content()).includes('billing-sync'), page);
    }
    await bob.goto(`${world.screen}/revoke?t.${id}=on`);
    assert(!(await bob.content()).includes('billing-sync'));
    await bob.context().close();
  }],

  ['names are shown as they are: markup, right to left, and a hundred characters of four bytes', async (world) => {
    const page = await world.tab('ann');
    const names = ['<img src=x onerror=alert(1)>"\'&', 'رمز النسخ الاحتياطي', '🜲'.repeat(100), '  two  spaces  ', '</script><script>alert(1)</script>', '{{ 7*7 }}'];
    for (const name of names) {
      const { id } = await world.create(page, name);
      await page.goto(`${world.screen}/${id}`);
      assert.equal(await page.locator('h1 bdi').textContent(), name);
      assert.equal(await page.locator('main img, main script').count(), 0);
      await page.setViewportSize({ width: 320, height: 640 });
      assert(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `no scrolling for ${name}`);
      await page.setViewportSize({ width: 1280, height: 900 });
      await page.goto(`${world.screen}/${id}/revoke`);
      await page.fill('#name', `${name}x`);
      assert.equal(await page.$eval('#name', (field) => field.validity.patternMismatch), true);
      await page.fill('#name', name);
      await page.click('main button.danger');
      assert.equal((await world.tokens('ann', '&state=revoked')).some((token) => token.name === name), true, name);
    }
    await page.context().close();
  }],

  ['the name that was typed is checked by the server too', async (world) => {
    const page = await world.tab('ann', { scripts: 'off' });
    const { id } = await world.create(page, 'typed wrong');
    await page.goto(`${world.screen}/${id}/revoke`);
    const nonce = await page.inputValue('[name=nonce]');
    for (const form of [{ nonce, name: 'typed' }, { nonce, name: '' }, { nonce }]) {
      const answer = await page.request.post(page.url(), { form, headers: { origin: world.origin } });
      assert.equal(answer.status(), 422);
    }
    assert.equal((await world.token('typed wrong')).revoked_at, null);
    await page.context().close();
  }],
];
