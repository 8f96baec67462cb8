export async function applyPatch(_patch: string, _w: unknown): Promise<string> {
  throw new Error('later')
}
