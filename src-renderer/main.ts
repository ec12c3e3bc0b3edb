import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { openContractSocket, preloadChannel, socketChannel, takeToken, watchForNewToken } from './bridge'
import { connectChannel, connectSockets } from './connection'
import { createPages } from './router'
import { useApp } from './stores/app'
import { useNotices } from './stores/notices'
import { failureOf } from './failure'
import './styles/base.css'

// before the router, which also reads the fragment
const channel = preloadChannel()
const token = channel ? '' : takeToken()
if (!channel) watchForNewToken()

const root = createApp(App)
root.use(createPinia())
root.use(createPages())
root.config.errorHandler = (thrown) => {
  console.error(thrown)
  useNotices().fail('This view', failureOf(thrown))
}
root.mount('#app')

useApp().connect((listener) =>
  channel
    ? connectChannel(channel, listener)
    : connectSockets({ token, open: openContractSocket, channel: socketChannel }, listener),
)
