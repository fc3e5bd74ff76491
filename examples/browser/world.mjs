// The running quickstart, browsers of it in three moods, and what is noted while they look at it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const require = createRequire(join(process.env.BROWSER_MODULES, 'here.js'));
const { chromium } = require('playwright-core');
export const axe = require('axe-core');
export const vnuJar = require('vnu-jar');

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const LAUNCH = {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: FLAGS,
  // Or no page would ever come back as it was left.
  ignoreDefaultArgs: ['--disable-back-forward-cache'],
};

/** How scripts fare in a browser. */
export const MOODS = ['on', 'off', 'blocked'];

export class World {
  static async start(program) {
    const world = new World();
    world.data = mkdtempSync(join(tmpdir(), 'quickstart-'));
    const env = { ...process.env, ADDRESS: '127.0.0.1:0', DATA_DIR: world.data, RUST_LOG: 'warn' };
    delete env.DATABASE_URL;
    world.process = spawn(program, ['--demo-traffic'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: world.process.stdout })) {
      if (line.startsWith('listening on ')) {
        world.origin = line.split(' ').pop();
        break;
      }
    }
    assert(world.origin, 'the quickstart did not start');
    world.process.stdout.resume();
    world.screen = `${world.origin}/settings/tokens`;
    world.browser = await chromium.launch(LAUNCH);
    world.stranger = await Stranger.start();
    /** What no page should cause. */
    world.complaints = [];
    /** The HTML of every page that was looked at, by its name. */
    world.pages = new Map();
    world.requests = 0;
    return world;
  }

  async stop() {
    await this.browser?.close();
    this.stranger?.server.close();
    this.process?.kill();
    if (this.data) rmSync(this.data, { recursive: true, force: true });
  }

  /** A tab of someone who is signed in; of nobody without a user. */
  async tab(user, { scripts = 'on', minutesAgo = 0, ...options } = {}) {
    const context = await this.browser.newContext({ javaScriptEnabled: scripts !== 'off', viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(10_000);
    if (scripts === 'blocked') await context.route('**/*.js', (route) => route.abort());
    await this.signIn(context, user, minutesAgo);
    const page = await context.newPage();
    this.watch(page, scripts);
    return page;
  }

  async signIn(context, user, minutesAgo = 0) {
    if (!user) return;
    const answer = await context.request.post(`${this.origin}/demo/sign-in`, { form: { user, minutes_ago: String(minutesAgo) } });
    assert.equal(answer.status(), 200);
  }

  /** A browser of its own with a profile on disk, as people have, and its one window; closed as people close it, or killed. */
  async profile(folder, more = []) {
    const told = join(folder, 'DevToolsActivePort');
    rmSync(told, { force: true });
    const child = spawn(LAUNCH.executablePath, ['--headless', ...FLAGS, '--remote-debugging-port=0', `--user-data-dir=${folder}`, ...more], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    const port = await until(() => existsSync(told) && readFileSync(told, 'utf8').split('\n')[0]);
    // One that restores its tabs may leave an early try hanging.
    const browser = await until(() => chromium.connectOverCDP(`http://127.0.0.1:${port}`, { timeout: 5000 }).catch(() => null));
    const [context] = browser.contexts();
    const close = async () => {
      const session = await browser.newBrowserCDPSession();
      await session.send('Browser.close').catch(() => {});
      const patience = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(patience);
    };
    return { context, close };
  }

  watch(page, scripts) {
    page.on('console', (message) => {
      // That a page is a refusal is what its status says; that a script is blocked is what was done to it.
      const expected = /^Failed to load resource: (the server responded with a status of 4|net::ERR_FAILED)/;
      const isOurs = expected.test(message.text()) && (scripts === 'blocked' || !message.location().url.includes('/assets/'));
      if (['error', 'warning'].includes(message.type()) && !isOurs) this.complaints.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.complaints.push(`script: ${error}`));
    page.on('request', (request) => {
      this.requests += 1;
      const isOurs = [this.origin, this.stranger.origin, `http://localhost:${this.stranger.port}`, 'chrome-error:', 'data:', 'about:'].some((start) => request.url().startsWith(start));
      if (!isOurs) this.complaints.push(`third party: ${request.url()}`);
    });
  }

  /** The tokens of someone, by the API. */
  async tokens(user, query = '') {
    const context = await this.browser.newContext();
    await this.signIn(context, user);
    const answer = await context.request.get(`${this.origin}/api/tokens/tokens?limit=200${query}`);
    const { tokens } = await answer.json();
    await context.close();
    return tokens;
  }

  async token(name) {
    return (await this.tokens('ann', `&q=${encodeURIComponent(name)}`)).find((token) => token.name === name);
  }

  /** Makes a token by the page, and returns its value and id. The page stays at what it shows. */
  async create(page, name, choose = async () => {}) {
    await page.goto(`${this.screen}/new`);
    await page.fill('#name', name);
    await choose(page);
    await page.click('main button.main');
    const value = await page.inputValue('#value');
    assert.match(value, /^acme_live_[0-9A-Za-z]{54}$/);
    const token = await this.token(name);
    assert(token, `there is a token named ${name}`);
    return { value, id: token.id };
  }

  /** What the API says to a value. */
  async use(value, path = '/projects') {
    const answer = await fetch(this.origin + path, { headers: { authorization: `Bearer ${value}` } });
    return { status: answer.status, body: await answer.json().catch(() => null) };
  }
}

/** Asks again until there is an answer, for ten seconds. */
export async function until(ask) {
  for (let tries = 0; tries < 100; tries += 1) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`it never came about: ${ask}`);
}

/** Another origin, that of someone who means ill. */
class Stranger {
  static async start() {
    const stranger = new Stranger();
    stranger.html = '';
    stranger.server = createServer((request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(request.url === '/control' ? CONTROL : stranger.html);
    });
    await new Promise((resolve) => stranger.server.listen(0, '127.0.0.1', resolve));
    stranger.port = stranger.server.address().port;
    stranger.origin = `http://127.0.0.1:${stranger.port}`;
    return stranger;
  }
}

/** A page that any browser keeps for Back, and that says whether it was kept. */
const CONTROL = `<!doctype html><title>control</title><p id="said">fresh</p><input id="value" value="first">
<script>addEventListener('pageshow', (e) => { if (e.persisted) document.getElementById('said').textContent = 'kept'; });</script>`;

/** Whether a page shows or holds a text anywhere. */
export async function holds(page, text) {
  const html = await page.content();
  const values = await page.$$eval('input, textarea', (fields) => fields.map((field) => field.value).join('\n'));
  return html.includes(text) || values.includes(text);
}
