//! What models, tools, documents, records and addresses may bring onto the page, through the real server: all of it is
//! text. Nothing runs, nothing is fetched, and not even the Content Security Policy had something to stop.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { DESKTOP, launch } from './support/browser.mjs';
import { call, cell } from './support/data.ts';
import { ask, fold, lastAnswer, settled } from './support/page.ts';
import { TidewireServer } from './support/server.ts';

const RUN = 'window.broken=1';
const EVIL = `<img src="https://example.org/pixel.png" onerror="${RUN}"><script>${RUN}</script>`;

/** Everything in HTML that runs, fetches, or leads away. */
const MARKUP = [
  `<script>${RUN}</script>`,
  `<img src=x onerror="${RUN}">`,
  `<img srcset="https://example.org/pixel.png 1x">`,
  `<svg onload="${RUN}"><script>${RUN}</script><image href="https://example.org/pixel.png"/></svg>`,
  `<math><mtext><style><img src=x onerror="${RUN}"></style></mtext></math>`,
  `<iframe src="https://example.org/" srcdoc="<script>parent.${RUN}</script>"></iframe>`,
  `<a href="javascript:${RUN}" onclick="${RUN}">click</a>`,
  `<details open ontoggle="${RUN}"><summary>open</summary></details>`,
  `<video src="https://example.org/v" onerror="${RUN}" autoplay></video>`,
  `<style>@import url(https://example.org/s.css); body { background: url(https://example.org/b.png) }</style>`,
  `<link rel="stylesheet" href="https://example.org/s.css">`,
  `<base href="https://example.org/">`,
  `<meta http-equiv="refresh" content="0;url=https://example.org/">`,
  `<object data="https://example.org/o"></object><embed src="https://example.org/e">`,
  `<form action="https://example.org/"><input autofocus onfocus="${RUN}"><button>send</button></form>`,
  `<div style="background:url(https://example.org/d.png)">styled</div>`,
  `<template><img src=x onerror="${RUN}"></template>`,
].join('\n\n');

/** Links and images as Markdown has them. */
const LINKS = [
  `[plain](javascript:${RUN})`,
  `[case](JaVaScRiPt:${RUN})`,
  `[entity](javascript&#58;${RUN})`,
  `[tab](java&#9;script:${RUN})`,
  `[data](data:text/html,<script>${RUN}</script>)`,
  `[vb](vbscript:x)`,
  `[file](file:///etc/passwd)`,
  `[title](https://example.org/ "onmouseover=${RUN}")`,
  `[quote](https://example.org/"onmouseover="${RUN})`,
  `<javascript:${RUN}>`,
  `[reference][r]`,
  `![pixel](https://example.org/pixel.png?data=secret)`,
  `![svg](data:image/svg+xml,<svg onload="${RUN}"/>)`,
  `[![both](https://example.org/pixel.png)](javascript:${RUN})`,
  `[r]: javascript:${RUN}`,
].join('\n\n');

/** Diagrams that set what only the page sets, or bring handlers and markup. */
const DIAGRAMS = [
  `%%{init: {"securityLevel": "loose", "flowchart": {"htmlLabels": true}}}%%\ngraph TD\n  a["<img src=x onerror='${RUN}'>"] --> b`,
  `graph TD\n  a --> b\n  click a href "javascript:${RUN}"\n  click b call ${RUN}()`,
  `---\nconfig:\n  securityLevel: loose\n  htmlLabels: true\n---\nerDiagram\n  a }o--|| b : "<script>${RUN}</script>"`,
  `sequenceDiagram\n  a->>b: <img src="https://example.org/pixel.png">\n  link a: x @ javascript:${RUN}`,
]
  .map((diagram) => `\`\`\`mermaid\n${diagram}\n\`\`\``)
  .join('\n\n');

/** What must not be in what was brought from outside. */
const FORBIDDEN =
  'script, img, image, iframe, object, embed, form, input, video, audio, style, link, base, meta, foreignObject, template, ' +
  '[onerror], [onload], [onclick], [onfocus], [ontoggle], [onmouseover], [srcdoc], [style*="url("]';

let server: TidewireServer;
let browser: Browser;
let context: BrowserContext;
const complaints: string[] = [];
const foreign: string[] = [];

beforeAll(async () => {
  server = await TidewireServer.start('scripted');
  browser = await launch();
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  await context?.close();
  complaints.length = 0;
  foreign.length = 0;
});

async function open(path: string): Promise<Page> {
  context = await browser.newContext({ viewport: DESKTOP });
  context.on('request', (request) => {
    if (/^(?:https?|wss?|ftp):/.test(request.url()) && new URL(request.url()).port !== String(server.port)) foreign.push(request.url());
  });
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => complaints.push(`a dialog: ${dialog.message()}`));
  await page.goto(`${server.url}/${path}`);
  return page;
}

/** Until what the page holds now was laid out twice and a request went there and back: what would be fetched is under way. */
const painted = (page: Page) =>
  page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    await fetch('/favicon.svg');
  });

/** Nothing ran, nothing was fetched, and the policy was not needed. */
async function inert(page: Page): Promise<void> {
  await painted(page);
  expect(await page.evaluate(() => 'broken' in window)).toBe(false);
  expect(new URL(page.url()).port).toBe(String(server.port));
  expect(context.pages().length).toBe(1);
  expect(foreign).toEqual([]);
  expect(complaints).toEqual([]);
}

/** The links in what a selector finds: where they lead, and what the browser is told about them. */
const links = (page: Page, within: string) =>
  page.locator(`${within} a`).evaluateAll((all) => all.map((link) => [link.getAttribute('href') ?? '', link.getAttribute('rel') ?? '']));

function leadOut(found: string[][]): void {
  for (const [href = '', rel = ''] of found) {
    expect(href).toMatch(/^(?:https?:\/\/|#)/);
    if (href.startsWith('http')) expect(rel.split(' ')).toEqual(expect.arrayContaining(['noopener', 'noreferrer']));
  }
}

describe('what a model says', () => {
  it.each([
    ['markup', MARKUP],
    ['links and images', LINKS],
    ['diagrams', DIAGRAMS],
    ['all of it', `${LINKS}\n\n${MARKUP}\n\n${DIAGRAMS}`],
  ])('is text: %s', async (name, words) => {
    const page = await open(`#/c/says-${name.replaceAll(' ', '-')}`);
    await ask(page, `say ${words}`);
    await settled(page, 1);
    expect((await lastAnswer(page)).length).toBeGreaterThan(50);
    expect(await page.locator(`[data-testid=message-agent] :is(${FORBIDDEN})`).count()).toBe(0);
    leadOut(await links(page, '[data-testid=message-agent]'));
    for (const link of await page.locator('[data-testid=message-agent] a[href^="#"]').all()) await link.click();
    await inert(page);
    // The same from the log, and as a title in the list and of the window.
    await page.reload();
    await settled(page, 1);
    expect(await page.locator(`[data-testid=message-agent] :is(${FORBIDDEN})`).count()).toBe(0);
    expect(await page.locator(`[data-testid=chats] :is(script, img, iframe, [onerror])`).count()).toBe(0);
    await inert(page);
  });

  it('is shown to the person as it was said', async () => {
    const page = await open('#/c/shown');
    await ask(page, `say ${EVIL}`);
    await settled(page, 1);
    expect(await page.getByTestId('message-user').innerText()).toContain(EVIL);
    expect(await page.locator(`[data-testid=message-user] :is(${FORBIDDEN})`).count()).toBe(0);
    await inert(page);
  });
});

describe('what tools and documents bring', () => {
  beforeAll(async () => {
    // The catalogue is data like any other, so its words are as foreign as a model's.
    for (const collection of ['catalog_tables', 'catalog_relationships']) {
      const found = (await call(server.url, 'POST', `/api/find/${collection}`, { limit: 60 })) as unknown as Record<string, { value: unknown }>[];
      for (const record of found) {
        const id = typeof record['id'] === 'string' ? record['id'] : String(record['id']?.value);
        await call(server.url, 'PUT', `/api/update/${collection}/${encodeURIComponent(id)}`, { description: EVIL, label: EVIL, grain: EVIL });
      }
    }
    const folder = join(server.folder, 'hostile');
    mkdirSync(folder);
    const text = `# Lighthouses ${EVIL}\n\nThe lighthouse keeper of Anholt lights the lamp at dusk. ${EVIL} [more](javascript:${RUN}) ![p](https://example.org/pixel.png)\n`;
    writeFileSync(join(folder, `${'<img src=x onerror=window.broken=1>'}.md`), text);
    server.command('ingest', '--words-only', folder);
  }, 120_000);

  it('is text in a tool\'s result, the list of tables and the diagram', async () => {
    const page = await open('#/c/tools');
    await ask(page, 'Show me all tables');
    await settled(page, 1);
    await page.getByTestId('tool-row').first().getByRole('button').click();
    await page.getByTestId('tables').waitFor();
    expect(await page.getByTestId('tables').innerText()).toContain('onerror');
    await ask(page, 'How are purchase orders related to suppliers?');
    await settled(page, 2);
    await page.locator('[data-testid=diagram] svg').waitFor();
    // Its own style is Mermaid's, and part of what was cleaned.
    expect(await page.locator(`[data-testid=diagram] :is(${FORBIDDEN}):not(style)`).count()).toBe(0);
    expect(await page.locator('[data-testid=diagram] style').allTextContents().then((all) => all.join())).not.toMatch(/@import|url\(\s*['"]?https?:/);
    for (const part of ['tool-row', 'tables', 'message-agent']) {
      expect(await page.locator(`[data-testid=${part}] :is(script, img, iframe, [onerror])`).count()).toBe(0);
    }
    await inert(page);
  });

  it('is text in a source, its title and its passage', async () => {
    const page = await open('#/c/sources');
    await ask(page, 'When does the lighthouse keeper of Anholt light the lamp?');
    await settled(page, 1);
    await page.getByTestId('citation').first().click();
    const source = page.locator('[data-testid=source][data-open=true]');
    await source.getByTestId('passage').waitFor();
    expect(await source.innerText().then(fold)).toContain('lights the lamp at dusk');
    expect(await page.locator(`[data-testid=sources] :is(${FORBIDDEN})`).count()).toBe(0);
    leadOut(await links(page, '[data-testid=sources]'));
    await inert(page);
  });

  it('is text in a table of records', async () => {
    await call(server.url, 'POST', '/api/insert/evil', { id: 'r1', words: EVIL, address: `javascript:${RUN}`, inner: { html: EVIL } });
    const page = await open('#/d/evil');
    await cell(page, 'r1', 'words').waitFor();
    expect(await cell(page, 'r1', 'words').innerText()).toContain('onerror');
    expect(await page.locator(`[data-testid=data] :is(script, img, iframe, [onerror])`).count()).toBe(0);
    leadOut(await links(page, '[data-testid=data]'));
    await inert(page);
  });
});

describe('an address', () => {
  it.each([
    `#/d/${encodeURIComponent(EVIL)}`,
    `#/d/evil?filter=${encodeURIComponent(EVIL)}`,
    `#/c/${encodeURIComponent(EVIL)}`,
    `#/${encodeURIComponent(`javascript:${RUN}`)}`,
  ])('is text where it is wrong: %s', async (path) => {
    const page = await open(path);
    await page.locator('h1, [data-testid=composer], [data-testid=data]').first().waitFor();
    await painted(page);
    expect(await page.locator(`body :is(img, iframe, [onerror])`).count()).toBe(0);
    expect(await page.evaluate(() => 'broken' in window)).toBe(false);
    expect(foreign).toEqual([]);
    // That there is no such thing may be said in the console; that something was stopped may not.
    expect(complaints.filter((text) => /content security policy|refused to/i.test(text))).toEqual([]);
  });
});

describe('the policy behind all that', () => {
  it('comes with every answer', async () => {
    for (const path of ['/', '/api/health', '/api/nothing', '/no/such/page']) {
      const headers = (await fetch(`${server.url}${path}`)).headers;
      const policy = new Map((headers.get('content-security-policy') ?? '').split(';').map((part) => part.trim().split(/ (.*)/s, 2) as [string, string]));
      expect(policy.get('default-src'), path).toBe("'self'");
      expect(policy.get('script-src'), path).toBe("'self'");
      expect(policy.get('img-src'), path).toBe("'self' data:");
      expect([policy.get('object-src'), policy.get('base-uri'), policy.get('frame-ancestors')], path).toEqual(["'none'", "'none'", "'none'"]);
      expect(headers.get('x-content-type-options'), path).toBe('nosniff');
      expect(headers.get('referrer-policy'), path).toBe('no-referrer');
      expect(headers.get('access-control-allow-origin'), path).toBeNull();
    }
  });

  it('stops a script and an image that got in after all', async () => {
    const page = await open('#/c/policy');
    await page.getByTestId('composer').waitFor();
    await page.evaluate((code) => {
      const script = document.createElement('script');
      script.textContent = code;
      const image = document.createElement('img');
      image.src = 'https://example.org/pixel.png';
      document.body.append(script, image);
    }, RUN);
    await expect.poll(() => complaints.filter((text) => /content security policy/i.test(text)).length).toBeGreaterThanOrEqual(2);
    expect(await page.evaluate(() => 'broken' in window)).toBe(false);
  });
});
