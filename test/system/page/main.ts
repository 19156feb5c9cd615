// A page as a customer would write it: the published OpenFeature web SDK and OFREP provider, as they are.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider'
import { OpenFeature } from '@openfeature/web-sdk'

declare global {
  interface Window {
    openFeature: typeof OpenFeature
    connect: (baseUrl: string, key: string, context: { [name: string]: string }) => Promise<void>
    changes: number
  }
}

window.openFeature = OpenFeature
window.changes = 0
window.connect = async (baseUrl, key, context) => {
  await OpenFeature.setContext(context)
  const provider = new OFREPWebProvider({ baseUrl, headers: [['Authorization', `Bearer ${key}`]] })
  await OpenFeature.setProviderAndWait(provider)
  OpenFeature.addHandler('PROVIDER_CONFIGURATION_CHANGED' as never, () => {
    window.changes++
  })
}
