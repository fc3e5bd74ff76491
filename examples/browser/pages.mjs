// Every page, in every look: what axe, the HTML validator and the browser itself say of it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { axe, vnuJar } from './world.mjs';
import { measure } from './measures.mjs';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const LOOKS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 900 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
  { name: 'light 320', colorScheme: 'light', viewport: { width: 320, height: 640 } },
  { name: 'dark 320', colorScheme: 'dark', viewport: { width: 320, height: 640 } },
];

async function violations(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules, resultTypes: ['violations'] }), RULES);
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary?.split('\n')[1] ?? ''}`));
}

/** What the validator finds wrong in files of a folder. */
function validate(folder) {
  try {
    execFileSync('java', ['-Xmx512m', '-jar', vnuJar, '--stdout', '--format', 'json', '--skip-non-html', folder], { encoding: 'utf8', maxBuffer: 1 << 26 });
    return [];
  } catch (error) {
    return JSON.parse(error.stdout).messages.map((message) => `${message.url.split('/').pop()}: ${message.message} ${message.extract ?? ''}`);
  }
}

const found = { axe: [], scroll: [], contrast: [] };

/** Looks at the page that is shown, in every look, unless that is left out. */
async function look(world, page, name) {
  if (!world.looks) return;
  for (const { name: of, colorScheme, viewport } of LOOKS) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize(viewport);
    for (const violation of await violations(page)) found.axe.push(`${name}, ${of}: ${violation}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (wide > 0) found.scroll.push(`${name}, ${of}: ${wide} px too wide`);
    for (const weak of await page.evaluate(weakLines)) found.contrast.push(`${name}, ${of}: ${weak}`);
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  await page.setViewportSize(LOOKS[0].viewport);
}

/** Bars and the edges of inputs with less contrast than 3 to 1 with what they stand on. Runs in the page. */
function weakLines() {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const channels = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const contrast = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const weak = [];
  for (const path of document.querySelectorAll('.bars path')) {
    const ratio = contrast(getComputedStyle(path).stroke, behind(path));
    if (ratio < 3) weak.push(`bars ${ratio.toFixed(2)}`);
  }
  for (const field of document.querySelectorAll('input:not([type=hidden], [type=radio], [type=checkbox]), textarea')) {
    const ratio = contrast(getComputedStyle(field).borderTopColor, behind(field.parentElement));
    if (field.checkVisibility() && ratio < 3) weak.push(`${field.id} ${ratio.toFixed(2)}`);
  }
  return weak;
}

export const pages = [
  ['planted: axe, the validator and the console find what is wrong with a page', async (world) => {
    const page = await world.tab('ann');
    await page.goto(world.screen);
    const clean = await violations(page);
    await page.evaluate(() => {
      const image = document.createElement('img');
      image.src = '/x';
      const faint = document.createElement('p');
      faint.textContent = 'hardly to be read';
      faint.style.color = '#ccc';
      document.querySelector('main').append(image, faint);
    });
    const planted = await violations(page);
    assert(planted.some((violation) => violation.startsWith('image-alt')) && !clean.some((violation) => violation.startsWith('image-alt')));
    assert(planted.some((violation) => violation.startsWith('color-contrast')));
    const before = world.complaints.length;
    await page.evaluate(() => {
      const style = document.createElement('style');
      style.textContent = 'main { color: red }';
      document.head.append(style);
    });
    await page.waitForTimeout(100);
    assert(world.complaints.slice(before).some((complaint) => complaint.includes('Content Security Policy')));
    world.complaints.length = before;
    const folder = join(tmpdir(), `planted-${process.pid}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'planted.html'), '<!doctype html><html lang="en"><title>x</title><p><div></p><blink>x</blink>');
    assert(validate(folder).some((message) => message.includes('blink')));
    rmSync(folder, { recursive: true });
    // Neither a table nor a wide block may make the page wider than the screen.
    await page.setViewportSize({ width: 320, height: 640 });
    await page.evaluate(() => { document.querySelector('main').append(Object.assign(document.createElement('pre'), { textContent: 'x', className: 'planted' })); document.querySelector('.planted').style.width = '600px'; });
    assert(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth));
    await page.context().close();
  }],

  ['every page in every look', async (world) => {
    const folder = join(tmpdir(), `pages-${process.pid}`);
    mkdirSync(folder);
    let number = 0;
    const visit = async (page, name, go) => {
      // The answer as it was sent: scripts may have changed what is shown.
      const answers = [];
      const note = (response) => { if (response.request().isNavigationRequest() && response.status() !== 303) answers.push(response); };
      page.on('response', note);
      await go();
      await page.waitForLoadState();
      page.off('response', note);
      const html = await answers.pop()?.text().catch(() => null);
      number += 1;
      writeFileSync(join(folder, `${String(number).padStart(2, '0')}-${name.replaceAll(/\W+/g, '-')}.html`), html ?? (await page.content()));
      await look(world, page, name);
    };
    const ann = await world.tab('ann');
    const at = (page, below) => () => page.goto(world.screen + below);
    const id = async (name) => (await world.token(name)).id;

    await visit(ann, 'list', at(ann, ''));
    await visit(ann, 'list of all', at(ann, '?state=any&sort=name'));
    await visit(ann, 'nothing found', at(ann, '?q=no+such+name'));
    await visit(ann, 'create', at(ann, '/new'));
    await visit(ann, 'create, wrong', async () => {
      await ann.check('[name="reach"][value="some"]');
      await ann.check('[name="expires"][value="date"]');
      await ann.click('summary');
      await ann.fill('#networks', 'nonsense');
      await ann.fill('#name', ' ');
      await ann.click('main button.main');
    });
    await visit(ann, 'reveal', async () => { await world.create(ann, 'looked at', (page) => page.check('[name="p.projects"][value="read"]')); });
    await visit(ann, 'rotate', at(ann, `/${await id('looked at')}/rotate`));
    await visit(ann, 'rotated', () => ann.click('main button.main'));
    await visit(ann, 'list with two values', at(ann, '?q=looked'));
    await visit(ann, 'rotate with two values', at(ann, `/${await id('looked at')}/rotate`));
    await visit(ann, 'end the old value', at(ann, `/${await id('looked at')}/end-overlap`));
    await visit(ann, 'edit', at(ann, `/${await id('looked at')}/edit`));
    await visit(ann, 'detail', at(ann, `/${await id('billing-sync')}`));
    await visit(ann, 'revoke', at(ann, `/${await id('looked at')}/revoke`));
    await visit(ann, 'revoke, not confirmed', async () => {
      await ann.$eval('#name', (field) => { field.removeAttribute('pattern'); });
      await ann.fill('#name', 'another');
      await ann.click('main button.danger');
    });
    await visit(ann, 'revoke several', at(ann, `/revoke?t.${await id('looked at')}=on`));
    await visit(ann, 'revoked several', () => ann.click('main button.danger'));
    await visit(ann, 'detail of a revoked one', at(ann, `/${await id('looked at')}`));
    await visit(ann, 'nothing selected', at(ann, '/revoke'));
    await visit(ann, 'receipt', at(ann, '/receipt'));
    await visit(ann, 'receipt, unknown', at(ann, '/receipt?receipt=none'));
    const refused = await world.use('nonsense');
    const admin = await world.tab('admin');
    await visit(admin, 'receipt, found', at(admin, `/receipt?receipt=${refused.body.receipt}`));
    await visit(admin, 'list of an admin', at(admin, '?owner=ann'));
    await visit(admin, 'create for someone', at(admin, '/new'));
    await visit(admin, 'policy', at(admin, '/policy'));
    await visit(admin, 'policy, rehearsed', () => admin.click('text="See what it would refuse"'));
    await visit(admin, 'policy, wrong', async () => { await admin.fill('#live', 'many'); await admin.click('text="Set policy"'); });
    const bob = await world.tab('bob');
    await visit(bob, 'empty', at(bob, ''));
    await visit(bob, 'not found', at(bob, '/none'));
    const viewer = await world.tab('viewer');
    await visit(viewer, 'list to look at', at(viewer, ''));
    const nobody = await world.tab();
    await visit(nobody, 'signed out', at(nobody, ''));
    const stale = await world.tab('ann', { minutesAgo: 60 });
    await visit(stale, 'stale', at(stale, '/new'));
    await world.signIn(stale.context(), 'ann');
    await stale.goto(`${world.screen}/new`);
    await stale.fill('#name', 'stale');
    await world.signIn(stale.context(), 'ann', 60);
    await visit(stale, 'create, stale', () => stale.click('main button.main'));
    await visit(stale, 'shown before', async () => {
      await world.signIn(stale.context(), 'ann');
      await world.create(stale, 'twice in a row');
      await stale.goto(`${world.screen}/new`);
      const nonce = await stale.inputValue('[name=nonce]');
      const form = { nonce, name: 'once more', reach: 'all', resources: '', expires: '30', date: '', networks: '' };
      await stale.request.post(`${world.screen}/new`, { form, headers: { origin: world.origin } });
      await stale.fill('#name', 'once more');
      await stale.click('main button.main');
    });
    for (const page of [ann, admin, bob, viewer, nobody, stale]) await page.context().close();

    const invalid = validate(folder);
    if (invalid.length === 0) rmSync(folder, { recursive: true });
    for (const all of [...Object.values(found), invalid, world.complaints]) for (const one of [...new Set(all)].slice(0, 20)) console.log(`      ${one}`);
    if (world.looks) measure(`axe violations on ${number} pages, light, dark, 320 px`, found.axe.length, 0);
    measure('HTML validator: errors and warnings', invalid.length, 0);
    if (world.looks) measure('pages that scroll sideways at 320 px', found.scroll.length, 0);
    if (world.looks) measure('bars and edges of inputs below 3 to 1', found.contrast.length, 0);
    measure('CSP violations, console errors and third-party requests, in all of this', world.complaints.length, 0);
  }],

  ['a list of ten is small', async (world) => {
    const page = await world.tab('ann');
    const live = await world.tokens('ann', '&state=live');
    for (const token of live.slice(10)) {
      await page.request.post(`${world.origin}/api/tokens/tokens/${token.id}/revoke`, { headers: { origin: world.origin } });
    }
    for (let more = live.length; more < 10; more += 1) await world.create(page, `one of ten ${more}`);
    await page.goto(world.screen);
    assert.equal(await page.locator('.tokens tbody tr').count(), 10);
    const urls = await page.$$eval('link[rel=stylesheet], script[src]', (all) => all.map((one) => one.href ?? one.src));
    const bodies = await Promise.all([world.screen, ...urls.map((url) => url || null)].filter(Boolean).map(async (url) => (await page.request.get(url)).body()));
    const js = await page.$eval('script[src]', (script) => script.src);
    bodies.push(await (await page.request.get(js)).body());
    measure('list of 10 rows, HTML, CSS and script, KB gzip', Math.round(bodies.reduce((sum, body) => sum + gzipSync(body).length, 0) / 102.4) / 10, 12);
    measure('own script, bytes', bodies.at(-1).length, 3072);
    await page.context().close();
  }],

  ['tables stay tables where they are shown as cards', async (world) => {
    const page = await world.tab('ann', { viewport: { width: 320, height: 640 } });
    await page.goto(world.screen);
    const tree = await page.locator('table.tokens').ariaSnapshot();
    for (const role of ['table', 'row', 'rowheader', 'cell', 'columnheader']) assert(tree.includes(`- ${role}`), role);
    await page.context().close();
  }],

  ['motion is reduced, and colours may be forced', async (world) => {
    const page = await world.tab('ann', { reducedMotion: 'reduce' });
    await page.goto(world.screen);
    const moving = () => page.$$eval('*', (all) => all.filter((one) => parseFloat(getComputedStyle(one).transitionDuration) > 0 || getComputedStyle(one).animationName !== 'none').length);
    assert.equal(await moving(), 0);
    await page.emulateMedia({ reducedMotion: 'no-preference' });
    assert((await moving()) > 0, 'else there would be nothing to reduce');
    await page.emulateMedia({ forcedColors: 'active' });
    const [stroke, ink] = await page.evaluate(() => [getComputedStyle(document.querySelector('.bars path')).stroke, getComputedStyle(document.body).color]);
    assert.equal(stroke, ink);
    await page.context().close();
  }],
];
