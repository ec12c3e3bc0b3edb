import { createRouter, createWebHashHistory, type Router } from 'vue-router'
import { TABS } from './tabs'
import DomainView from './views/DomainView.vue'
import HomeView from './views/HomeView.vue'
import ImagesView from './views/ImagesView.vue'
import NetworksView from './views/NetworksView.vue'
import PolicyEditorView from './views/PolicyEditorView.vue'
import TrashView from './views/TrashView.vue'
import WelcomeView from './views/WelcomeView.vue'

/** The views, by address. The token has left the fragment before this is called. */
export function createPages(): Router {
  return createRouter({
    history: createWebHashHistory(),
    routes: [
      { path: '/', name: 'home', component: HomeView },
      { path: '/welcome', name: 'welcome', component: WelcomeView },
      { path: '/networks', name: 'networks', component: NetworksView },
      { path: '/images', name: 'images', component: ImagesView },
      { path: '/trash', name: 'trash', component: TrashView },
      { path: '/domains/:id/policy', name: 'policy', component: PolicyEditorView },
      { path: `/domains/:id/:tab(${TABS.join('|')})?`, name: 'domain', component: DomainView },
      { path: '/:rest(.*)*', redirect: '/' },
    ],
  })
}
