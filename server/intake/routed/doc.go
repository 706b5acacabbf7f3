// Package routed takes the events that a pipeline has given to another tenant (the processor route, key tenant) there. It stands
// between the intake's limits, which charge who sent the events, and admission.
//
// In comes a batch of one tenant; to admission go one batch for each other tenant that it has events for, and what stays.
//
// What must hold: the account of a source is that of the tenant whose credentials send it, whole: what goes to another tenant is a
// skipped range there. At the other tenant such an event has no account but an identity made of the sender's tenant, client and
// position, by which it is stored once, however often it is sent. All of a batch is durable before the call returns.
package routed
