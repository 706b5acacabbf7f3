// Package cluster is the register of the Kubernetes clusters whose agents report to this server.
//
// In comes a name; out goes a push token that is good for this cluster alone, and a short-lived code. Under /install/CODE, which
// needs no other credentials, lies a manifest that installs the agents, so that joining a cluster is one kubectl apply. Of the
// clusters this room tells, from what the ledger keeps of their agents and sources, which nodes have an agent and which have not.
//
// What must hold: the secret of a token is nowhere in clear. It is kept encrypted under its code, and of the code only a hash is
// kept, so that the database alone gives neither away. An expired or revoked code finds nothing. A code belongs to one cluster of
// one tenant, and the token in its manifest can do nothing but push events of that cluster. What comes from outside is never
// put into a manifest but as a quoted text. Several servers share one register: what one was told the others know with its answer.
package cluster
