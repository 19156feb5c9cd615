/**
 * Waits for work, but no longer than some milliseconds.
 * @throws what the work throws, or that it took too long
 */
export async function withTimeout<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null
  const timeout = new Promise<never>((_, reject) => {
    const late = () => reject(new Error(`no answer within ${milliseconds} ms`))
    timer = setTimeout(late, milliseconds)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
