//! What was shown before is shown afterwards, once: over reloads, tabs, cuts and a killed server.

import type { Browser, Page, WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { launch } from './support/browser.mjs';
import { ask, lastAnswer, longEnough, occurrences, open, openTab, picture, settled } from './support/page.ts';
import { TidewireServer } from './support/server.ts';

const TOKEN = 'token';

describe('an answer survives', () => {
  let server: TidewireServer;
  let browser: Browser;
  let page: Page;
  let number = 0;

  beforeAll(async () => {
    server = await TidewireServer.start('scripted');
    browser = await launch();
  });

  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  beforeEach(async () => {
    await page?.context().close();
    number += 1;
    page = await open(browser, server.url, `survive-${number}-${Date.now()}`);
  });

  it('a reload in mid-answer', async () => {
    await ask(page, '200 tokens every 20 ms');
    await longEnough(page, 300);
    const shown = await lastAnswer(page);
    await page.reload();
    await longEnough(page, shown.length);
    await expect.poll(() => lastAnswer(page)).toContain(shown);
    await settled(page, 1);
    expect(occurrences(await lastAnswer(page), TOKEN)).toBe(200);
  });

  it('a second tab in mid-answer', async () => {
    await ask(page, '200 tokens every 20 ms');
    await longEnough(page, 300);
    const tab = await openTab(page);
    await settled(tab, 1);
    await settled(page, 1);
    expect(occurrences(await lastAnswer(tab), TOKEN)).toBe(200);
    const whole = await lastAnswer(page);
    await expect.poll(() => lastAnswer(tab)).toBe(whole);
    await tab.close();
  });

  it('a stop from another tab', async () => {
    await ask(page, '50000 tokens every 20 ms');
    await longEnough(page, 200);
    const tab = await openTab(page);
    await tab.getByTestId('stop').click();
    await settled(page, 1);
    await settled(tab, 1);
    const kept = await lastAnswer(page);
    expect(occurrences(kept, TOKEN)).toBeGreaterThan(20);
    await expect.poll(() => lastAnswer(tab)).toBe(kept);
    await page.getByTestId('run-ending').waitFor();
    await picture(page, '5-stopped');
    await tab.close();
  });

  it('kill -9 of the server in mid-answer and a restart', async () => {
    await ask(page, '50000 tokens every 20 ms');
    await longEnough(page, 600);
    await server.kill();
    const shown = occurrences(await lastAnswer(page), TOKEN);
    await page.getByTestId('connection-status').waitFor();
    await picture(page, '6-offline');
    await server.restart();
    await page.getByTestId('ask-again').waitFor({ timeout: 60_000 });
    const kept = occurrences(await lastAnswer(page), TOKEN);
    expect(kept).toBeGreaterThanOrEqual(shown);
    await picture(page, '7-interrupted');
    await page.reload();
    await settled(page, 1);
    expect(occurrences(await lastAnswer(page), TOKEN)).toBe(kept);
  });

  it('ten random cuts of the socket', async () => {
    const sockets: WebSocketRoute[] = [];
    await page.routeWebSocket(/\/ws\//, (socket) => {
      socket.connectToServer();
      sockets.push(socket);
    });
    await page.reload();
    await page.getByTestId('composer').waitFor();
    await ask(page, '400 tokens every 20 ms');
    for (let cut = 1; cut <= 10; cut += 1) {
      const before = sockets.length;
      await longEnough(page, cut * 150 + Math.floor(Math.random() * 100));
      await sockets[before - 1]?.close({ code: 4999, reason: 'cut' });
      await tryNow(page);
      await expect.poll(() => sockets.length, { timeout: 40_000 }).toBeGreaterThan(before);
    }
    await settled(page, 1);
    expect(sockets.length).toBe(11);
    expect(occurrences(await lastAnswer(page), TOKEN)).toBe(400);
  });

  it('a question asked while offline waits, and is asked once', async () => {
    await server.kill();
    await expect.poll(() => page.getByTestId('connection-status').innerText()).not.toMatch(/online/i);
    await ask(page, '5 tokens');
    await page.getByTestId('outbox-item').waitFor();
    await picture(page, '8-outbox');
    await server.restart();
    await tryNow(page);
    await settled(page, 1);
    await expect.poll(() => page.getByTestId('message-user').count()).toBe(1);
    await expect.poll(() => page.getByTestId('outbox-item').count()).toBe(0);
    expect(occurrences(await lastAnswer(page), TOKEN)).toBe(5);
  });
});

/** The way out of the countdown, if there is one on the page. */
async function tryNow(page: Page): Promise<void> {
  const button = page.getByTestId('try-now');
  if (await button.isVisible()) await button.click({ timeout: 1000 }).catch(() => undefined);
}
