// `node:crypto`, whose hashes need not be waited for.

type Hash = {
  update(text: string): Hash
  digest(): Uint8Array
  digest(encoding: 'base64url'): string
}

/** What is used of it. */
type NodeCrypto = {
  createHash(algorithm: 'sha256'): Hash
  createHmac(algorithm: 'sha256', key: string): Hash
  timingSafeEqual(a: Uint8Array, b: Uint8Array): boolean
}

declare const process: { getBuiltinModule(name: 'node:crypto'): NodeCrypto }

let loaded: NodeCrypto | undefined

/** Not imported: loading it takes milliseconds, and an isolate that needs none of it should not begin with them. */
export function nodeCrypto(): NodeCrypto {
  loaded ??= process.getBuiltinModule('node:crypto')
  return loaded
}
