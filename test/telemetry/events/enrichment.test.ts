import { describe, expect, it } from 'vitest'
import { deviceClassOf, edgeAttributesOf } from '../../../src/telemetry/events/enrichment.ts'

const SAFARI = 'AppleWebKit/605.1.15 (KHTML, like Gecko)'
const CHROME = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0'
const IPHONE = `Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) ${SAFARI} Version/18.5 Mobile/15E148 Safari/604.1`

describe('a device', () => {
  it.each([
    ['mobile', IPHONE],
    ['mobile', `Mozilla/5.0 (Linux; Android 10; K) ${CHROME} Mobile Safari/537.36`],
    ['mobile', 'Mozilla/5.0 (Android 15; Mobile; rv:144.0) Gecko/144.0 Firefox/144.0'],
    ['mobile', `Mozilla/5.0 (Linux; Android 9; CUBOT P30) ${CHROME} Mobile Safari/537.36`],
    ['mobile', 'Opera/9.80 (J2ME/MIDP; Opera Mini/9.80/191.308; U; en) Presto/2.5.25 Version/10.54'],
    [
      'tablet',
      `Mozilla/5.0 (iPad; CPU OS 12_5 like Mac OS X) ${SAFARI} Version/12.1 Mobile/15E148 Safari/604.1`,
    ],
    ['tablet', `Mozilla/5.0 (Linux; Android 10; K) ${CHROME} Safari/537.36`],
    ['tablet', 'Mozilla/5.0 (Android 15; Tablet; rv:144.0) Gecko/144.0 Firefox/144.0'],
    ['tablet', `Mozilla/5.0 (Linux; U; en-us; KFTT Build/IML74K) ${SAFARI} Silk/3.4 Safari/535.19`],
    ['desktop', `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36 Edg/142.0.0.0`],
    ['desktop', `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${SAFARI} Version/18.5 Safari/605.1.15`],
    ['desktop', 'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0'],
    ['desktop', `Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) ${CHROME} Safari/537.36`],
    ['other', `Mozilla/5.0 (Linux; Android 12; BRAVIA 4K) ${CHROME} Safari/537.36`],
    ['other', `Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) ${CHROME} TV Safari/537.36`],
    ['other', `Mozilla/5.0 (Web0S; Linux/SmartTV) ${CHROME} Safari/537.36`],
    ['other', 'a client of its own'],
    ['other', ''],
    ['bot', 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'],
    ['bot', `${IPHONE} (compatible; bingbot/2.0)`],
    ['bot', `Mozilla/5.0 (X11; Linux x86_64) ${CHROME.replace('Chrome', 'HeadlessChrome')} Safari/537.36`],
    ['bot', 'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)'],
    ['bot', 'curl/8.14.1'],
    ['bot', 'python-requests/2.32.3'],
    ['bot', 'Go-http-client/2.0'],
  ])('is told by its User-Agent: %s, %s', (device, userAgent) => {
    expect(deviceClassOf(userAgent)).toBe(device)
  })

  it('is told soon, however long its User-Agent is', () => {
    const start = performance.now()
    for (const part of ['silk', 'android', 'bot', 'a ', 'tv']) deviceClassOf(`${part.repeat(100_000)} mobile`)
    expect(performance.now() - start).toBeLessThan(1_000)
  })
})

function known(userAgent: string | undefined, cf?: object) {
  const headers = userAgent === undefined ? {} : { 'user-agent': userAgent }
  const request = new Request('https://rampart.test/v1/events', { headers })
  return Object.fromEntries(edgeAttributesOf(Object.assign(request, { cf })))
}

describe('the edge', () => {
  it('knows where a client is and what it is', () => {
    const cf = { country: 'DE', city: 'Köln', asn: 3320, colo: 'DUS', httpProtocol: 'HTTP/3' }
    expect(known(IPHONE, cf)).toEqual({
      'cf.country': 'DE',
      'cf.city': 'Köln',
      'cf.colo': 'DUS',
      'cf.asn': '3320',
      'device.class': 'mobile',
      bot: 'false',
    })
  })

  it('knows little without a User-Agent and a network', () => {
    expect(known(undefined)).toEqual({ 'device.class': 'other', bot: 'false' })
  })

  it.each([
    [{ score: 1 }, 'true'],
    [{ score: 29 }, 'true'],
    [{ score: 30 }, 'false'],
    [{ score: 0 }, 'false'],
    [{ score: 99, verifiedBot: true }, 'true'],
    [{}, 'false'],
    [null, 'false'],
  ])('believes the network of bots: %j', (botManagement, bot) => {
    expect(known(IPHONE, { botManagement })).toEqual({
      'device.class': bot === 'true' ? 'bot' : 'mobile',
      bot,
    })
  })
})
