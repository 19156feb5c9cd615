// Whether an address is one of the public internet. Pure: what a public name resolves to is not known here.

type Range = readonly [first: string, bits: number]

/** What RFC 6890 and its successors take out of the public internet. */
const PRIVATE_V4: readonly Range[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Within global unicast: protocol assignments with Teredo, documentation, and 6to4, which leads to IPv4. */
const PRIVATE_V6: readonly (readonly [first: readonly number[], bits: number])[] = [
  [[0x2001, 0x0000], 23],
  [[0x2001, 0x0db8], 32],
  [[0x2002, 0x0000], 16],
  [[0x3fff, 0x0000], 20],
]

/** Names that networks give to themselves. */
const PRIVATE_SUFFIXES = [
  'localhost',
  'local',
  'internal',
  'intranet',
  'private',
  'corp',
  'home',
  'lan',
  'home.arpa',
]

function numberOfV4(address: string): number {
  return address.split('.').reduce((number, byte) => number * 256 + Number(byte), 0)
}

function startsAlike(one: number, other: number, bits: number): boolean {
  const divisor = 2 ** (32 - bits)
  return Math.floor(one / divisor) === Math.floor(other / divisor)
}

function isPublicV4(address: string): boolean {
  const number = numberOfV4(address)
  return !PRIVATE_V4.some(([first, bits]) => startsAlike(number, numberOfV4(first), bits))
}

/** @param address as URLs write it: compressed */
function isPublicV6(address: string): boolean {
  // The first two groups tell; those that `::` stands for are zero.
  const [first = 0, second = 0] = (address.split('::')[0] ?? '')
    .split(':')
    .map((group) => Number.parseInt(group || '0', 16))
  const isGlobalUnicast = first >= 0x2000 && first < 0x4000
  const number = first * 0x10000 + second
  return (
    isGlobalUnicast &&
    !PRIVATE_V6.some(([[high = 0, low = 0], bits]) => startsAlike(number, high * 0x10000 + low, bits))
  )
}

function isPublicName(name: string): boolean {
  const isOfOneWord = !name.includes('.')
  return !isOfOneWord && !PRIVATE_SUFFIXES.some((suffix) => name.endsWith(`.${suffix}`))
}

/**
 * Tells whether a URL's host is of the public internet: not a loopback, private, link-local, shared, multicast or
 * otherwise reserved address in any notation, and not a name that only its own network knows.
 */
export function isPublicHost({ hostname }: URL): boolean {
  // URLs have written decimal, octal, hexadecimal and shortened IPv4 addresses in four bytes by now.
  if (hostname.startsWith('[')) return isPublicV6(hostname.slice(1, -1))
  const name = hostname.replace(/\.+$/, '')
  return /^\d+(\.\d+){3}$/.test(name) ? isPublicV4(name) : isPublicName(name)
}
