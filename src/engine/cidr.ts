/** An address as its 16-bit groups: two for IPv4, eight for IPv6. */
type Groups = readonly number[]

function parseIpv4(text: string): Groups | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (!match) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = match.slice(1).map(Number)
  return Math.max(a, b, c, d) > 255 ? undefined : [(a << 8) | b, (c << 8) | d]
}

/** @param final whether the address ends here, which is where it may end as an IPv4 address does */
function parseGroups(text: string, final: boolean): Groups | undefined {
  if (text === '') return []
  const groups: number[] = []
  const words = text.split(':')
  for (const [index, word] of words.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(word)) {
      groups.push(Number.parseInt(word, 16))
      continue
    }
    const embedded = final && index === words.length - 1 ? parseIpv4(word) : undefined
    if (!embedded) return undefined
    groups.push(...embedded)
  }
  return groups
}

function parseIpv6(text: string): Groups | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : []
  if (!head || !tail) return undefined
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  return mapped ? groups.slice(6) : groups
}

/** Reads an IPv4 or IPv6 address; an IPv4-mapped IPv6 address is the IPv4 address. */
function parseAddress(text: string): Groups | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/**
 * Reads a network such as `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of one.
 * @returns the test for an address, or undefined when the text is no network
 */
export function parseCidr(text: string): ((address: string) => boolean) | undefined {
  const [base = '', prefix, ...rest] = text.split('/')
  const network = parseAddress(base)
  if (!network || rest.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return undefined
  const width = network.length * 16
  // A prefix counts from the first bit as written, which for a mapped address is 96 bits before the IPv4 ones.
  const before = base.includes(':') && width === 32 ? 96 : 0
  const bits = prefix === undefined ? width : Number(prefix) - before
  if (bits < 0 || bits > width) return undefined
  return (address) => {
    const groups = parseAddress(address)
    if (groups?.length !== network.length) return false
    return groups.every((group, index) => {
      const significant = Math.min(16, Math.max(0, bits - index * 16))
      const mask = (0xffff << (16 - significant)) & 0xffff
      return ((group ^ (network[index] ?? 0)) & mask) === 0
    })
  }
}
