import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maskTarget, parseTarget, redact } from '../../../src/notifications/target.ts'

const CLOSED = { allowPrivate: false, allowEmail: true }
const OPEN = { allowPrivate: true, allowEmail: true }

const problemOf = (target: string, rules = CLOSED) => {
  const parsed = parseTarget('webhook', target, rules)
  return parsed.ok ? 'none' : parsed.error
}

describe('an address', () => {
  it.each([
    ['https://hooks.example.com/a', 'https://hooks.example.com/a'],
    ['https://hooks.example.com:8443/a?b=c', 'https://hooks.example.com:8443/a?b=c'],
    ['HTTPS://Hooks.Example.com', 'https://hooks.example.com/'],
    ['https://hooks.example.com/a#b', 'https://hooks.example.com/a'],
    ['https://1.1.1.1/', 'https://1.1.1.1/'],
    ['https://100.63.255.255/', 'https://100.63.255.255/'],
    ['https://100.128.0.0/', 'https://100.128.0.0/'],
    ['https://172.15.255.255/', 'https://172.15.255.255/'],
    ['https://172.32.0.0/', 'https://172.32.0.0/'],
    ['https://223.255.255.255/', 'https://223.255.255.255/'],
    ['https://[2606:4700::1111]/', 'https://[2606:4700::1111]/'],
    ['https://[2001:200::1]/', 'https://[2001:200::1]/'],
    ['https://bücher.example/', 'https://xn--bcher-kva.example/'],
    ['https://internal.example.com/', 'https://internal.example.com/'],
    ['https://my-local.example/', 'https://my-local.example/'],
  ])('may be %s', (text, kept) => {
    expect(parseTarget('webhook', text, CLOSED)).toEqual({ ok: true, value: kept })
  })

  it.each([
    ['', 'malformed'],
    ['hooks.example.com/a', 'malformed'],
    ['ftp://hooks.example.com/', 'malformed'],
    ['javascript:alert(1)', 'malformed'],
    ['file:///etc/passwd', 'malformed'],
    [`https://hooks.example.com/${'a'.repeat(2_000)}`, 'malformed'],
    ['http://hooks.example.com/', 'not_https'],
    ['https://ada@hooks.example.com/', 'has_credentials'],
    ['https://:secret@hooks.example.com/', 'has_credentials'],
    ['https://hooks.example.com@127.0.0.1/', 'has_credentials'],
  ])('may not be %s: %s', (text, problem) => {
    expect(problemOf(text)).toBe(problem)
  })

  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'a.localhost',
    'printer.local',
    'metadata.google.internal',
    'metadata.google.internal.',
    'router.lan',
    'nas.home.arpa',
    'intranet',
    'wiki.corp',
    '127.0.0.1',
    '127.0.0.1..',
    '127.255.255.254',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '017700000001',
    '%31%32%37.0.0.1',
    '①②⑦.0.0.1',
    '0.0.0.0',
    '0',
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.127.255.255',
    '169.254.169.254',
    '0xa9fea9fe',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.0.1',
    '192.168.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '[::]',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:8.8.8.8]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[64:ff9b:1::1]',
    '[100::1]',
    '[2001::1]',
    '[2001:1ff::1]',
    '[2001:db8::1]',
    '[2002:7f00:1::]',
    '[3fff::1]',
    '[fc00::1]',
    '[fd12:3456::1]',
    '[fe80::1]',
    '[fec0::1]',
    '[ff02::1]',
    '[4000::1]',
  ])('may not lead to %s, unless the operator allows it', (host) => {
    expect(problemOf(`https://${host}/`)).toBe('private')
    expect(problemOf(`https://${host}:8443/hook?a=b`)).toBe('private')
    expect(problemOf(`http://${host}/`, OPEN)).toBe('none')
  })

  it('is refused in each notation of the same private number', () => {
    const byte = fc.nat(255)
    const privately = fc.oneof(
      fc.tuple(fc.constantFrom(0, 10, 127), byte, byte, byte),
      fc.tuple(fc.constant(192), fc.constant(168), byte, byte),
      fc.tuple(fc.constant(172), fc.integer({ min: 16, max: 31 }), byte, byte),
      fc.tuple(fc.constant(100), fc.integer({ min: 64, max: 127 }), byte, byte),
      fc.tuple(fc.constant(169), fc.constant(254), byte, byte),
      fc.tuple(fc.integer({ min: 224, max: 255 }), byte, byte, byte),
    )
    fc.assert(
      fc.property(privately, ([a, b, c, d]) => {
        const number = ((a * 256 + b) * 256 + c) * 256 + d
        const group = (high: number, low: number) => (high * 256 + low).toString(16)
        for (const host of [
          `${a}.${b}.${c}.${d}`,
          `${a}.${b}.${c * 256 + d}`,
          `${a}.${(b * 256 + c) * 256 + d}`,
          `0x${a.toString(16)}.0${b.toString(8)}.${c}.${d}`,
          String(number),
          `0x${number.toString(16)}`,
          `0${number.toString(8)}`,
          `[::ffff:${a}.${b}.${c}.${d}]`,
          `[::ffff:${group(a, b)}:${group(c, d)}]`,
          `[64:ff9b::${group(a, b)}:${group(c, d)}]`,
          `[2002:${group(a, b)}:${group(c, d)}::1]`,
        ]) {
          expect([host, problemOf(`https://${host}/`)]).toEqual([host, 'private'])
        }
      }),
    )
  })

  it('never throws, and keeps only what is https and without credentials', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl({ withFragments: true })), (text) => {
        const parsed = parseTarget('slack', text, CLOSED)
        if (!parsed.ok) return
        const url = new URL(parsed.value)
        expect([url.protocol, url.username, url.password, url.hash]).toEqual(['https:', '', '', ''])
      }),
    )
  })
})

describe('an e-mail address', () => {
  it.each([
    ['ada@example.com', 'ok'],
    ['on.call+rampart@mail.example.co.uk', 'ok'],
    ['ada', 'malformed'],
    ['ada@localhost', 'malformed'],
    ['ada@example.com, eve@example.com', 'malformed'],
    ['Ada <ada@example.com>', 'malformed'],
    ['ada@example.com\r\nBcc: eve@example.com', 'malformed'],
    [`${'a'.repeat(65)}@example.com`, 'malformed'],
    [`ada@${'a'.repeat(250)}.com`, 'malformed'],
  ])('%s: %s', (text, expected) => {
    const parsed = parseTarget('email', text, CLOSED)
    expect(parsed.ok ? 'ok' : parsed.error).toBe(expected)
  })

  it('needs a deployment that can send e-mail', () => {
    expect(parseTarget('email', 'ada@example.com', { ...CLOSED, allowEmail: false })).toEqual({
      ok: false,
      error: 'email_not_configured',
    })
  })
})

it.each([
  ['slack', 'https://hooks.slack.com/services/T0/B0/verysecret', 'https://hooks.slack.com/…'],
  ['webhook', 'https://hooks.example.com:8443/a?token=verysecret', 'https://hooks.example.com:8443/…'],
  ['email', 'ada@example.com', 'a…@example.com'],
] as const)('shows of a %s target only where it leads', (kind, target, shown) => {
  expect(maskTarget({ kind, target })).toBe(shown)
})

it('takes out of an answer what only the channel may know', () => {
  const channel = {
    target: 'https://hooks.example.com/services/B024BE7LH?token=caf%C3%A9-token',
    secret: 'whsec_c2VjcmV0',
  }
  const answer =
    'Cannot POST /services/B024BE7LH?token=caf%C3%A9-token with café-token by whsec_c2VjcmV0 at https://hooks.example.com/services/B024BE7LH?token=caf%C3%A9-token'
  const redacted = redact(answer, channel)
  for (const part of ['B024BE7LH', 'café-token', 'caf%C3%A9-token', 'whsec_c2VjcmV0']) {
    expect(redacted).not.toContain(part)
  }
  expect(redact('no_service', channel)).toBe('no_service')
})
